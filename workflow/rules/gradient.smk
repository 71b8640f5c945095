rule gradient:
    input:
        model=MODEL,
        inference=differentiated_at,
    output:
        "results/{model}/gradient/{setting}.nc",
    log:
        "results/log/{model}/gradient/{setting}.log",
    benchmark:
        "results/benchmark/{model}/gradient/{setting}.tsv"
    threads: cores("gradient")
    resources:
        **needs("gradient", mem_mb=8000, runtime=60),
    params:
        settings=lambda wildcards: plugin(gradient_setting(wildcards)),
        objective=lambda wildcards: plugin(
            STUDY.objective, "--objective", "--objective-set"
        ),
        at=lambda wildcards, input: shlex.join(
            f"--inference={path}" for path in input[1:]
        ),
        code=code_hash("gradient"),
        model=plugin_of_model,
        plugin=lambda wildcards: identity(
            "gradients", gradient_setting(wildcards).plugin
        ),
        function=lambda wildcards: identity("objectives", STUDY.objective.plugin),
    message:
        "Differentiate {wildcards.model} by {wildcards.setting}"
    shell:
        "slds gradient --model {input.model:q} {params.at} --name {wildcards.setting:q} {params.settings}"
        " {params.objective} --output {output:q} 2>&1 | tee {log:q}"


rule compare:
    input:
        lambda wildcards: expand(
            rules.gradient.output, model=wildcards.model, setting=STUDY.gradients
        ),
    output:
        "results/{model}/comparison.nc",
    log:
        "results/log/{model}/comparison.log",
    benchmark:
        "results/benchmark/{model}/comparison.tsv"
    threads: cores("compare")
    resources:
        **needs("compare", mem_mb=2000, runtime=10),
    params:
        references=shlex.join(f"--reference={name}" for name in STUDY.references),
        code=code_hash("comparison"),
    message:
        "Compare the gradients of {wildcards.model}"
    shell:
        "slds compare {input:q} {params.references} --output {output:q} 2>&1 | tee {log:q}"


rule all_gradient:
    input:
        expand(rules.gradient.output, model=STUDY.models, setting=STUDY.gradients),
    localrule: True


rule all_comparison:
    input:
        expand(rules.compare.output, model=STUDY.models),
    localrule: True
