rule infer:
    input:
        model=MODEL,
    output:
        "results/{model}/inference/{setting}.nc",
    log:
        "results/log/{model}/inference/{setting}.log",
    benchmark:
        "results/benchmark/{model}/inference/{setting}.tsv"
    threads: cores("infer")
    resources:
        **needs("infer", mem_mb=4000, runtime=30),
    params:
        settings=lambda wildcards: plugin(inference_setting(wildcards)),
        code=code_hash("inference"),
        model=plugin_of_model,
        plugin=lambda wildcards: identity(
            "inference", inference_setting(wildcards).plugin
        ),
    message:
        "Infer {wildcards.model} at {wildcards.setting}"
    shell:
        "slds infer --model {input.model:q} --name {wildcards.setting:q} {params.settings} --output {output:q} 2>&1 | tee {log:q}"


rule residual:
    input:
        model=MODEL,
        inference=rules.infer.output,
    output:
        "results/{model}/residual/{setting}.nc",
    log:
        "results/log/{model}/residual/{setting}.log",
    benchmark:
        "results/benchmark/{model}/residual/{setting}.tsv"
    threads: cores("residual")
    resources:
        **needs("residual", mem_mb=4000, runtime=10),
    params:
        code=code_hash("residual"),
        model=plugin_of_model,
    message:
        "Measure how far {wildcards.model} at {wildcards.setting} is from the fixed point"
    shell:
        "slds residual --model {input.model:q} --inference {input.inference:q} --name {wildcards.setting:q}"
        " --output {output:q} 2>&1 | tee {log:q}"


rule all_inference:
    input:
        expand(rules.infer.output, model=STUDY.models, setting=STUDY.inference),
    localrule: True


rule all_residual:
    input:
        expand(rules.residual.output, model=STUDY.models, setting=STUDY.inference),
    localrule: True
