rule build_model:
    input:
        lambda wildcards: input_files("models", STUDY.models[wildcards.model]),
    output:
        MODEL,
    log:
        "results/log/{model}/model.log",
    benchmark:
        "results/benchmark/{model}/model.tsv"
    wildcard_constraints:
        model=one_of(name for name in STUDY.models if name not in LEARNT),
    threads: cores("build_model")
    resources:
        **needs("build_model", mem_mb=2000, runtime=10),
    params:
        settings=lambda wildcards: plugin(STUDY.models[wildcards.model]),
        precision=STUDY.precision,
        code=code_hash("model"),
        plugin=plugin_of_model,
    message:
        "Build the model {wildcards.model}"
    shell:
        "slds build-model --name {wildcards.model:q} {params.settings} --precision {params.precision}"
        " --output {output:q} 2>&1 | tee {log:q}"


rule fit:
    input:
        lambda wildcards: input_files("models", STUDY.models[wildcards.model]),
        # an earlier checkpoint of the same training comes first, so that this one goes on from what that has kept
        lambda wildcards: [
            ancient(MODEL.format(model=name))
            for name in [checkpoint_before(STUDY, wildcards.model)]
            if name is not None
        ],
    output:
        MODEL,
    log:
        "results/log/{model}/fit.log",
    benchmark:
        "results/benchmark/{model}/fit.tsv"
    wildcard_constraints:
        model=one_of(LEARNT),
    threads: cores("fit")
    resources:
        **needs("fit", mem_mb=4000, runtime=240),
    params:
        settings=lambda wildcards: plugin(STUDY.models[wildcards.model]),
        precision=STUDY.precision,
        code=code_hash("model"),
        plugin=plugin_of_model,
    message:
        "Learn the model {wildcards.model}"
    shell:
        'slds fit --name {wildcards.model:q} {params.settings} --precision {params.precision} --keep "$TRAINING"'
        " --output {output:q} 2>&1 | tee {log:q}"


rule all_models:
    input:
        expand(MODEL, model=STUDY.models),
    localrule: True
