# What is made from what, one rule a kind of notebook. `make reproduce` checks the settings, writes each notebook's
# parameters and calls this; by hand, after it: snakemake --cores 2 --configfile results/demo/settings.yaml
from rdpd_nb import jobs, params
from rdpd_nb.paper import METHODS, STUDENT_METHODS

JOBS = jobs.plan(config)
*OF_A_DATA_SET, TABLES = JOBS
RUN = params.check(TABLES.notebook, TABLES.parameters)
OUT, FIGURES = RUN.results_root, RUN.figures_folder
HERE = f"{OUT}/{{dataset}}/{{view}}"  # a data set's view
ALL = f"{OUT}/{{dataset}}/all"  # all its channels
GPU = {"gpu": 1} if config["device"].startswith("cuda") else {}  # that a notebook which trains asks a cluster for


wildcard_constraints:
    dataset="|".join(config["datasets"]),  # the names of figures hold two names with _ between them, and in them


# Papermill writes to another name, so that an .ipynb is there only when it ran to its end. One thread each: the
# notebooks share the cores. A parameter file names the code behind its job (see jobs.write_parameters), so that
# the notebook's own time does not matter and `ancient` is right.
EXECUTE = """
name={output.notebook:q}; name="${{name%.ipynb}}"
OMP_NUM_THREADS={threads} papermill --no-progress-bar -f {input.parameters:q} {input.notebook:q} "$name.part.ipynb" \
    > "$name.log" 2>&1
mv "$name.part.ipynb" "$name.ipynb"
"""


rule preprocessing:
    input:
        parameters=f"{ALL}/preprocessing.parameters.yaml",
        notebook=ancient("notebooks/01_preprocessing.ipynb"),
    output:
        record=f"{ALL}/preprocessing.json",
        notebook=f"{ALL}/preprocessing.ipynb",
    priority: 99  # in the notebooks' order as far as may be: each compares its method with those run before it
    message: "{wildcards.dataset}/all/preprocessing"
    shell: EXECUTE


rule teacher:
    input:
        f"{ALL}/preprocessing.json",
        parameters=f"{ALL}/teacher.parameters.yaml",
        notebook=ancient("notebooks/02_teacher.ipynb"),
    output:
        *[f"{ALL}/teacher{ending}" for ending in (".npz", ".safetensors")],
        knowledge=f"{ALL}/teacher.knowledge.safetensors",
        record=f"{ALL}/teacher.json",
        notebook=f"{ALL}/teacher.ipynb",
    resources:
        **GPU,
    priority: 98
    message: "{wildcards.dataset}/all/teacher"
    shell: EXECUTE


# The students are one rule; a loop, and no wildcard, since each method has a priority of its own.
for method in STUDENT_METHODS:

    rule:
        name: method
        input:
            f"{ALL}/teacher.json",  # Direct learns nothing from the teacher, but is shown beside it
            # The last draws all of them beside each other, so they have to be there. Not `ancient`: between two jobs,
            # Snakemake (9.27) then takes the later for done, also where its other inputs are newer.
            *[f"{HERE}/{other}.json" for other in STUDENT_METHODS[:-1] if method == STUDENT_METHODS[-1]],
            knowledge=f"{ALL}/teacher.knowledge.safetensors",
            parameters=f"{HERE}/{method}.parameters.yaml",
            notebook=ancient(f"notebooks/{METHODS[method].notebook}.ipynb"),
        output:
            *[f"{HERE}/{method}{ending}" for ending in (".npz", ".safetensors")],
            record=f"{HERE}/{method}.json",
            notebook=f"{HERE}/{method}.ipynb",
        resources:
            **GPU,
        priority: 100 - int(METHODS[method].notebook[:2])
        message: f"{{wildcards.dataset}}/{{wildcards.view}}/{method}"
        shell: EXECUTE


def before_rich_data_size(wildcards):
    """The record that Figure 2 waits for: its teachers are the same for every view, so that the first view trains them
    and the others take them over."""
    first = config["sweeps"]["views"][wildcards.dataset][0]
    before = "all/preprocessing" if wildcards.view == first else f"{first}/rich_data_size"
    return f"{OUT}/{wildcards.dataset}/{before}.json"


rule rich_data_size:
    input:
        before_rich_data_size,
        parameters=f"{HERE}/rich_data_size.parameters.yaml",
        notebook=ancient("notebooks/08_rich_data_size.ipynb"),
    output:
        *[f"{FIGURES}/{name}" for name in jobs.drawn("rich_data_size")],
        record=f"{HERE}/rich_data_size.json",
        notebook=f"{HERE}/rich_data_size.ipynb",
    resources:
        **GPU,
    priority: 92
    message: "{wildcards.dataset}/{wildcards.view}/rich_data_size"
    shell: EXECUTE


rule noise_robustness:
    input:
        f"{ALL}/teacher.json",
        parameters=f"{HERE}/noise_robustness.parameters.yaml",
        notebook=ancient("notebooks/09_noise_robustness.ipynb"),
    output:
        *[f"{FIGURES}/{name}" for name in jobs.drawn("noise_robustness")],
        record=f"{HERE}/noise_robustness.json",
        notebook=f"{HERE}/noise_robustness.ipynb",
    resources:
        **GPU,
    priority: 91
    message: "{wildcards.dataset}/{wildcards.view}/noise_robustness"
    shell: EXECUTE


rule presets:
    input:
        f"{ALL}/preprocessing.json",
        parameters=f"{HERE}/presets.parameters.yaml",
        notebook=ancient("notebooks/11_paper_and_released_code.ipynb"),
    output:
        *[f"{FIGURES}/{name}" for name in jobs.drawn("presets")],
        record=f"{HERE}/presets.json",
        notebook=f"{HERE}/presets.ipynb",
    resources:
        **GPU,
    priority: 97  # it takes longest, waits for nothing else, and nothing waits for it but the tables
    message: "{wildcards.dataset}/{wildcards.view}/presets"
    shell: EXECUTE


# Other systems, each a loop's rule since each has a notebook and figures of its own.
for job in [job for job in OF_A_DATA_SET if job.name.startswith("related/")]:

    rule:
        name: job.name.rpartition("/")[2]
        input:
            parameters=f"{OUT}/{job.name}.parameters.yaml",
            notebook=ancient(f"notebooks/{job.notebook}.ipynb"),
        output:
            *[f"{FIGURES}/{name}" for name in job.figures],
            record=f"{OUT}/{job.name}.json",
            notebook=f"{OUT}/{job.name}.ipynb",
        priority: 96
        message: job.name
        shell: EXECUTE


rule tables:
    input:
        [f"{OUT}/{job.name}.json" for job in OF_A_DATA_SET],
        parameters=f"{OUT}/tables.parameters.yaml",
        notebook=ancient("notebooks/10_tables_and_figures.ipynb"),
    output:
        *[f"{FIGURES}/{name}" for name in TABLES.figures],
        notebook=f"{OUT}/tables.ipynb",
    message: "tables"
    shell: EXECUTE


def files(job):
    """All that a job's rule writes."""
    *place, name = job.name.split("/")
    return expand(getattr(rules, name).output, **dict(zip(("dataset", "view"), place)))


rule all:
    default_target: True
    input:
        # Every file, not only the last notebook, so that a lost one is made again.
        [files(job) for job in JOBS],
