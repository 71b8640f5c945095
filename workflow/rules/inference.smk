rule infer:
    input:
        model=rules.build_model.output,
    output:
        "results/{model}/inference/{setting}.nc",
    log:
        "results/log/{model}/inference/{setting}.log",
    benchmark:
        "results/benchmark/{model}/inference/{setting}.tsv"
    params:
        settings=lambda wildcards: plugin(inference_setting(wildcards)),
        code=code_hash("inference"),
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    message:
        "Infer {wildcards.model} at {wildcards.setting}"
    shell:
        "{SLDS} infer --model {input.model:q} --name {wildcards.setting:q} {params.settings} --output {output:q} " + TEE


rule residual:
    input:
        model=rules.build_model.output,
        inference=rules.infer.output,
    output:
        "results/{model}/residual/{setting}.nc",
    log:
        "results/log/{model}/residual/{setting}.log",
    benchmark:
        "results/benchmark/{model}/residual/{setting}.tsv"
    params:
        code=code_hash("residual"),
    threads: 1
    resources:
        mem_mb=4000,
        runtime=10,
    message:
        "Measure how far {wildcards.model} at {wildcards.setting} is from the fixed point"
    shell:
        "{SLDS} residual --model {input.model:q} --inference {input.inference:q} --name {wildcards.setting:q}"
        " --output {output:q} " + TEE


rule all_inference:
    localrule: True
    input:
        expand(rules.infer.output, model=STUDY.models, setting=STUDY.inference),


rule all_residual:
    localrule: True
    input:
        expand(rules.residual.output, model=STUDY.models, setting=STUDY.inference),
