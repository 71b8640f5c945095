rule report:
    input:
        expand(rules.build_model.output, model=STUDY.models),
        expand(rules.infer.output, model=STUDY.models, setting=STUDY.inference),
        expand(rules.residual.output, model=STUDY.models, setting=STUDY.inference),
        expand(rules.gradient.output, model=STUDY.models, setting=STUDY.gradients),
        expand(rules.compare.output, model=STUDY.models) if STUDY.gradients else [],
    output:
        html=report(
            "results/report.html", caption="../report/study.rst", category="Report"
        ),
        figures=directory("results/figures"),
    log:
        "results/log/report.log",
    benchmark:
        "results/benchmark/report.tsv"
    threads: cores("report")
    resources:
        **needs("report", mem_mb=4000, runtime=15),
    params:
        title=shlex.quote(STUDY.title),
        code=code_hash("report"),
    message:
        "Write the report"
    shell:
        "slds report {input:q} --title {params.title} --figures {output.figures:q} --output {output.html:q} 2>&1 | tee {log:q}"
