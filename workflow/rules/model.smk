rule build_model:
    output:
        "results/{model}/model.nc",
    log:
        "results/log/{model}/model.log",
    benchmark:
        "results/benchmark/{model}/model.tsv"
    params:
        settings=lambda wildcards: plugin(STUDY.models[wildcards.model]),
        precision=STUDY.precision,
        code=code_hash("model"),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    message:
        "Build the model {wildcards.model}"
    shell:
        "{SLDS} build-model --name {wildcards.model:q} {params.settings} --precision {params.precision}"
        " --output {output:q} " + TEE


rule all_models:
    localrule: True
    input:
        expand(rules.build_model.output, model=STUDY.models),
