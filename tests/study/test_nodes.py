"""Types of machines."""

from slds_core.study.nodes import node_type

PROCESSOR = "processor\t: {}\nmodel name\t: Some CPU\ncpu MHz\t\t: {}\nflags\t\t: fpu {}\n"


def described(tmp_path, *processors):
    path = tmp_path / "cpuinfo"
    path.write_text("\n".join(PROCESSOR.format(number, *what) for number, what in enumerate(processors)))
    return node_type(path)


def test_the_number_and_clock_of_processors_do_not_matter(tmp_path):
    assert described(tmp_path, (2000, "avx")) == described(tmp_path, (2100, "avx"), (1900, "avx"))


def test_their_instructions_do(tmp_path):
    assert described(tmp_path, (2000, "avx")) != described(tmp_path, (2000, "avx avx512f"))


def test_it_can_be_a_folder_name_even_where_the_kernel_says_nothing(tmp_path):
    assert node_type(tmp_path / "none").replace("-", "").replace("_", "").isalnum()
