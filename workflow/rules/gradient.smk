def differentiated_at(wildcards):
    """The inference file that an implicit estimator differentiates at; none for those that start from the model."""
    setting = gradient_setting(wildcards).at
    return [] if setting is None else expand(rules.infer.output, model=wildcards.model, setting=setting)


rule gradient:
    input:
        model=rules.build_model.output,
        inference=differentiated_at,
    output:
        "results/{model}/gradient/{setting}.nc",
    log:
        "results/log/{model}/gradient/{setting}.log",
    benchmark:
        "results/benchmark/{model}/gradient/{setting}.tsv"
    params:
        settings=lambda wildcards: plugin(gradient_setting(wildcards)),
        objective=plugin(STUDY.objective, "--objective", "--objective-set"),
        at=lambda wildcards, input: shlex.join(f"--inference={path}" for path in input[1:]),
        code=code_hash("gradient"),
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    message:
        "Differentiate {wildcards.model} by {wildcards.setting}"
    shell:
        "{SLDS} gradient --model {input.model:q} {params.at} --name {wildcards.setting:q} {params.settings}"
        " {params.objective} --output {output:q} " + TEE


rule compare:
    input:
        lambda wildcards: expand(rules.gradient.output, model=wildcards.model, setting=STUDY.gradients),
    output:
        "results/{model}/comparison.nc",
    log:
        "results/log/{model}/comparison.log",
    benchmark:
        "results/benchmark/{model}/comparison.tsv"
    params:
        references=shlex.join(f"--reference={name}" for name in STUDY.references),
        code=code_hash("comparison"),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    message:
        "Compare the gradients of {wildcards.model}"
    shell:
        "{SLDS} compare {input:q} {params.references} --output {output:q} " + TEE


rule all_gradient:
    localrule: True
    input:
        expand(rules.gradient.output, model=STUDY.models, setting=STUDY.gradients),


rule all_comparison:
    localrule: True
    input:
        expand(rules.compare.output, model=STUDY.models),
