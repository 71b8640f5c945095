# The study of config.yaml, from model to report. The rules live in workflow/, one file a stage.


include: "workflow/Snakefile"


rule default:
    default_target: True
    input:
        rules.all.input,
    localrule: True
