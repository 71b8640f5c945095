"""Tables of one's own: three formats, ragged groups, gaps, and errors that name file, column and value."""

from pathlib import Path
from unittest.mock import ANY

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from slds_core.study import registry
from slds_core.study.errors import StudyError
from slds_core.study.file_data import Table
from slds_core.study.table_file import TableFile
from slds_core.study.table_grid import Grid, grid_of
from slds_core.study.table_times import sorted_times
from slds_core.testing import check_data


@pytest.fixture
def frame():
    generator = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "year": [2003, 2001, 2002, 2000, 2001, 2003],
            "country": ["B", "B", "B", "A", "A", "A"],
            "output": generator.standard_normal(6),
            "prices": generator.standard_normal(6),
        }
    )
    table.loc[1, "output"] = np.nan
    return table


def written(frame, path):
    match path.suffix:
        case ".csv":
            frame.to_csv(path, index=False)
        case ".parquet":
            frame.to_parquet(path)
        case ".nc":
            frame.to_xarray().to_netcdf(path)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".nc"])
def test_ragged_groups_sorted_by_time_gaps_filled(frame, tmp_path, suffix):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = written(frame, tmp_path / f"table{suffix}")
    found = Table(path=path, time="year", group="country", columns=["output", "prices"]).load()
    assert found.names == ("A", "B")
    assert found.lengths == (4, 3)
    assert found.labels == (("2000", "2001", "2002", "2003"), ("2001", "2002", "2003"))
    assert not found.observed[0, 2].any()  # 2002 is not in the table
    np.testing.assert_array_equal(found.observed[1, :3], [[False, True], [True, True], [True, True]])
    np.testing.assert_allclose(found.original[1, 2], frame.loc[0, ["output", "prices"]].to_numpy(float), rtol=1e-12)


def test_one_sequence_in_the_files_order(frame, tmp_path):
    path = written(frame, tmp_path / "table.csv")
    found = Table(path=path, columns=["prices"], standardise=False).load()
    np.testing.assert_allclose(found.values[0, :, 0], frame["prices"], rtol=1e-12)


def test_rows_kept_as_they_are(frame, tmp_path):
    path = written(frame, tmp_path / "table.csv")
    assert Table(path=path, time="year", group="country", gaps="keep").load().lengths == (3, 3)


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"columns": ["outputs"]}, "no column 'outputs'; expected one of: year, country, output, prices"),
        ({"columns": ["country"]}, "column 'country', line 2: 'B' is no number, expected a number"),
        ({"time": "year"}, "column 'year': 2001 is given twice"),
        ({"group": "region"}, "no column 'region'"),
    ],
)
def test_errors_name_file_and_column(frame, tmp_path, parameters, complaint):
    path = written(frame, tmp_path / "table.csv")
    with pytest.raises(StudyError, match=rf"table.csv: {complaint}"):
        Table(path=path, **parameters).load()


def test_unknown_format_and_missing_file(tmp_path):
    (tmp_path / "table.xls").write_text("")
    with pytest.raises(StudyError, match=r"cannot tell the format by '.xls'; expected one of .csv"):
        Table(path=tmp_path / "table.xls").load()
    with pytest.raises(StudyError, match="no such file"):
        Table(path=tmp_path / "none.csv").load()


def test_contract(frame, tmp_path):
    path = written(frame, tmp_path / "table.csv")
    check_data(registry.make("data", "table", {"path": str(path), "time": "year", "group": "country"}))


def test_a_value_too_many_never_shifts_columns(tmp_path):
    """An empty one at the end of each row is none; any other is refused."""
    (tmp_path / "trailing.csv").write_text("year,gdp,cons\n2000,1.0,10,\n2001,2.0,20,\n2002,3.5,30,\n")
    series = Table(path=str(tmp_path / "trailing.csv"), columns=["gdp"], standardise=False).load()
    np.testing.assert_array_equal(np.asarray(series.values).ravel(), [1.0, 2.0, 3.5])
    (tmp_path / "shifted.csv").write_text("a,b\n1,2,3\n4,5,6\n7,8,9\n")
    with pytest.raises(
        StudyError, match=r"shifted\.csv: line 2 has 3 entries, more than the 2 of line 1, 'a,b'; expected"
    ):
        Table(path=str(tmp_path / "shifted.csv")).load()


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"time": "t", "columns": ["t", "a"]}, "columns: 't' is named in 'time' too, expected each column once"),
        ({"group": "g", "columns": ["a", "g"]}, "columns: 'g' is named in 'group' too, expected each column once"),
        ({"time": "t", "group": "t"}, "group: 't' is named in 'time' too, expected each column once"),
        ({"columns": ["a", "b", "a"]}, "columns: 'a' is named in 'columns' too, expected each column once"),
    ],
)
def test_a_column_has_one_use(parameters, complaint):
    with pytest.raises(StudyError, match=f"^{complaint}$"):
        registry.make("data", "table", {"path": "table.csv"} | parameters)


def csv(folder, text):
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("a;b\n1,5;2\n-3,25;4\n", {"separator": "semicolon", "decimal": "comma"}),
        ("a;b\n1.5;2\n-3.25;4\n", {"separator": "semicolon"}),
        ("a\tb\n1.5\t2\n-3.25\t4\n", {"separator": "tab"}),
        ('a,b\n"1,5",2\n"-3,25",4\n', {"decimal": "comma"}),
        ('\ufeff"a",b\r\n1.5,2\r\n\r\n-3.25,4\r\n\r\n', {}),  # what a spreadsheet writes
    ],
)
def test_separators_decimal_signs_and_byte_order_marks(tmp_path, text, keys):
    found = Table(path=csv(tmp_path, text), standardise=False, **keys).load()
    assert found.channels == ("a", "b")
    np.testing.assert_array_equal(found.values[0], [[1.5, 2], [-3.25, 4]])


HEADER = "expected a header with the columns' names in the first line"


@pytest.mark.parametrize(
    ("text", "keys", "complaint"),
    [
        ("t;a\n1;2\n", {}, "found one column, 't;a', with 'separator: comma'; expected 'separator: semicolon'"),
        (
            "t;a\n1;1,5\n2;2,5\n",
            {},
            "found one column, 't;a', with 'separator: comma'; expected 'separator: semicolon'",
        ),
        ("t\ta\n1\t2\n", {}, r"found one column, 't\ta', with 'separator: comma'; expected 'separator: tab'"),
        (
            "t,a\n1,2\n",
            {"separator": "semicolon"},
            "found one column, 't,a', with 'separator: semicolon'; expected 'separator: comma'",
        ),
        ("a,b,a\n1,2,3\n", {}, "two columns have the name 'a', expected each name once"),
        ("0.5,1.5\n1.5,2.5\n", {}, f"{HEADER}, found numbers, '0.5' first"),
        ("2000,1,2\n2001,2,3\n", {}, f"{HEADER}, found numbers, '2000' first"),
        ("2000,1,NA\n2001,2,3\n", {}, f"{HEADER}, found numbers, '2000' first"),
        ("2000-01-31,1,1\n2000-02-29,2,3\n", {}, f"{HEADER}, found numbers, '2000-01-31' first"),
        ("1,5;2\n2,5;3\n", {"separator": "semicolon", "decimal": "comma"}, f"{HEADER}, found numbers, '1,5' first"),
        ("# source: ECB\nt,a\n2000,1\n", {}, f"line 1, '# source: ECB', is a comment; {HEADER}"),
        ("\n# by ECB, 2001\n# x\nt,a\n2000,1\n", {}, f"line 2, '# by ECB, 2001', is a comment; {HEADER}"),
        ("# a; b\nt\n2000\n", {}, f"line 1, '# a; b', is a comment; {HEADER}"),
        (
            "Source: ECB\nt,a\n2000,1\n",
            {},
            f"line 2 has 2 entries, more than the 1 of line 1, 'Source: ECB'; {HEADER}, and as many entries in each row",
        ),
        (
            "a,b\n1,2\n\n3,4,5\n",
            {},
            f"line 4 has 3 entries, more than the 2 of line 1, 'a,b'; {HEADER}, and as many entries in each row",
        ),
        (
            f'a,b\n1,2\n3,"{"x" * 140_000}"\n',
            {},
            "the row that begins in line 3 cannot be read: field larger than field limit (131072); expected shorter entries, and "
            "quotation marks in pairs",
        ),
        ("", {}, "cannot be read as CSV: No columns to parse from file"),
        ("a,b\n", {}, "holds no rows, expected at least one beside the columns' names"),
        ("a\n1\n\n3\n\n", {}, "line 3 is blank, expected a value, or NA where it is missing"),
        ("a,b\n1,2\n\n3\n4,5\n", {}, "line 4 has 1 of 2 entries; leave one empty where it is missing"),
        ("a,b\n1,2\n\xa0\n3,4\n", {}, "line 3 has 1 of 2 entries; leave one empty where it is missing"),
        ('t,a,b\n1,"2\n3",4\n5,6', {}, "line 4 has 2 of 3 entries; leave one empty where it is missing"),
    ],
)
def test_files_that_are_no_tables(tmp_path, text, keys, complaint):
    path = csv(tmp_path, text)
    with pytest.raises(StudyError) as caught:
        Table(path=path, **keys).load()
    assert str(caught.value) == f"{path}: {complaint}"


@pytest.mark.parametrize("names", ["#t,a", "t,2000", ",1", "# t,2000-01"])
def test_names_like_comments_or_numbers(tmp_path, names):
    """A sign alone makes no comment, and pandas writes row numbers without a name."""
    found = Table(path=csv(tmp_path, f"{names}\n1,2\n2,3\n"), columns=[names.split(",")[1]]).load()
    assert found.lengths == (2,)


def test_one_column(tmp_path):
    found = Table(path=csv(tmp_path, 'a\n1\nNA\n""\n4\n\n'), standardise=False).load()
    np.testing.assert_array_equal(found.observed[0, :, 0], [True, False, False, True])


def test_separator_and_decimal_sign_are_of_csv_files(frame, tmp_path):
    path = written(frame, tmp_path / "table.nc")
    with pytest.raises(
        StudyError, match="expected 'separator' and 'decimal' with CSV files alone, found them with NetCDF"
    ):
        Table(path=path, separator="semicolon").load()


COMMA = "; if the comma is the decimal sign, set 'decimal: comma'"


@pytest.mark.parametrize("columns", [None, ["a"]])
@pytest.mark.parametrize(
    ("entry", "decimal", "complaint", "hint"),
    [
        ("text", "point", "'text' is no number", ""),
        ("-", "point", "'-' is no number", ""),
        ("1,000.5", "point", "'1,000.5' is no number", ""),
        ("True", "point", "'True' is no number", ""),
        ("1_000", "point", "'1_000' is no number", ""),
        ("2,5", "point", "'2,5' is no number", COMMA),
        ("2.5", "comma", "'2.5' is no number", ""),
        ("1.000,5", "comma", "'1.000,5' is no number", ""),
        ("1'000", "point", '"1\'000" is no number', ""),
        ("inf", "point", "'inf' is infinite", ""),
    ],
)
def test_an_entry_that_is_no_number_is_named(tmp_path, entry, decimal, complaint, hint, columns):
    """By its line as an editor counts: one entry has a line break, and one line is blank."""
    path = csv(tmp_path, f'n;a\n"first\nand second";1\n\nx;\ny;{entry}\nz;4\nz;5\nz;6\n')
    with pytest.raises(StudyError) as caught:
        Table(path=path, columns=columns, separator="semicolon", decimal=decimal).load()
    expected = f"column 'a', line 6: {complaint}, expected a number, or nothing where it is missing{hint}"
    assert str(caught.value) == f"{path}: {expected}"


def test_no_channel_is_lost_to_its_decimal_sign(tmp_path):
    with pytest.raises(StudyError, match=rf"column 'a', line 2: '1,5' is no number, .*{COMMA}"):
        Table(path=csv(tmp_path, "a;b\n1,5;1\n2,5;2\n"), separator="semicolon").load()


def test_columns_that_are_left_out_are_told(tmp_path, capsys):
    """Text with a number here and there, truth values, and row numbers without a name."""
    path = csv(tmp_path, ",who,a,flag\n0,A,1.5,True\n1,B,,False\n2,7,2.5,True\n")
    assert Table(path=path).load().channels == ("a",)
    told = "'Unnamed: 0', 'who', 'flag' left out, without numbers or without a name; 'columns' chooses others"
    assert capsys.readouterr().err == f"{path}: {told}\n"
    assert Table(path=path, columns=["a"]).load().channels == ("a",)
    assert Table(path=path, group="who", columns=["a"]).load().names == ("7", "A", "B")
    assert capsys.readouterr().err == ""


def test_no_column_of_numbers(tmp_path):
    with pytest.raises(StudyError, match=r"no numeric column besides time and group, .*; found 'a' without numbers"):
        Table(path=csv(tmp_path, "t,a\n1,x\n2,y\n"), time="t").load()


def test_truth_values_are_numbers_where_they_are_chosen(tmp_path):
    found = Table(path=csv(tmp_path, "a,b\nTrue,1\n,2\nFalse,3\n"), columns=["a"], standardise=False).load()
    np.testing.assert_array_equal(found.original[0, :, 0], [1, np.nan, 0])


def test_entries_that_are_no_numbers_in_netcdf(tmp_path):
    xr.Dataset({"a": ("time", ["1.5", "-"]), "b": ("time", [1.0, 2.0])}).to_netcdf(tmp_path / "table.nc")
    with pytest.raises(StudyError, match="column 'a', row 2: '-' is no number"):
        Table(path=tmp_path / "table.nc").load()


@pytest.mark.parametrize(
    "times",
    [
        ["2020-1-9", "2020-1-10", "2020-02-01T12:30"],
        ["2020-10-25T02:30+02:00", "2020-10-25T02:00+01:00", "2020-10-25T02:00Z"],  # the clocks go back
        ["2019Q4", "2020Q1", "2020Q2"],
        ["2019-W52", "2020-W01", "2020-W10"],
        ["9", "10", "11"],
        ["-1.5", "2e0", "10"],
    ],
)
def test_text_is_sorted_by_the_time_that_it_says(tmp_path, times):
    rows = [f"{time},{number}" for number, time in enumerate(times)]
    path = csv(tmp_path, "\n".join(["t,a", *reversed(rows)]))
    found = Table(path=path, time="t", standardise=False, gaps="keep").load()
    np.testing.assert_array_equal(found.values[0, :, 0], [0, 1, 2])
    if times[0].startswith("20"):
        assert found.labels == (tuple(times),)  # as they are written


ORDER = (
    "the order of such times is not sure; expected numbers, ISO dates such as 2020-01-31, quarters such as 2020Q1, or weeks such as "
    "2020-W05; without the key 'time', rows keep the file's order"
)


@pytest.mark.parametrize(
    ("times", "complaint"),
    [
        (["1/1/2020", "2/1/2020", "12/1/2020"], f"line 2: found '1/1/2020', {ORDER}"),
        (["t0", "t1", "t10"], f"line 2: found 't0', {ORDER}"),
        (["2020-01-01", "2020-13-01", "2020-02-01"], f"line 3: found '2020-13-01', {ORDER}"),
        (["2019Q4", "2020Q5", "2020Q1"], f"line 2: found '2019Q4', {ORDER}"),
        (["1", "x", "3"], f"line 3: found 'x', {ORDER}"),
        (["2020-01-01", "", "2020-01-02"], "line 3: a time is missing, expected one in each row"),
        (["1", "nan", "3"], "line 3: a time is missing, expected one in each row"),
        (["1,5", "2,5", "x"], f"line 4: found 'x', {ORDER}"),
        (["1", "inf", "3"], "line 3: found 'inf', a time is infinite, expected a number"),
        (
            ["2020-01-01T00:00Z", "2020-01-02T00:00+01", "2020-01-03"],
            "line 4: found '2020-01-03', expected a time zone in all rows or in none",
        ),
    ],
)
def test_times_whose_order_is_not_sure(tmp_path, times, complaint):
    path = csv(tmp_path, "\n".join(["t;a", *(f"{time};1" for time in times)]))
    with pytest.raises(StudyError) as caught:
        Table(path=path, time="t", separator="semicolon", decimal="comma").load()
    assert str(caught.value) == f"{path}: column 't', {complaint}"


def test_truth_values_are_no_times(tmp_path):
    with pytest.raises(StudyError, match="column 't' holds boolean values; expected numbers, ISO dates"):
        Table(path=csv(tmp_path, "t,a\nTrue,1\nFalse,2\n"), time="t").load()


def test_one_time_in_two_ways_is_given_twice(tmp_path):
    path = csv(tmp_path, "t,a\n2020-01-01,1\n2020-01-01T00:00,2\n")
    with pytest.raises(StudyError, match="column 't': 2020-01-01T00:00 is given twice, expected each time once"):
        Table(path=path, time="t").load()


@pytest.mark.parametrize("calendar", ["standard", "noleap"])
def test_dates_in_netcdf(tmp_path, calendar):
    """Those of other calendars, as climate models have, are no dates of NumPy."""
    time = ("time", [2.0, 0.0, 1.0], {"units": "days since 2000-02-28", "calendar": calendar})
    xr.Dataset({"a": ("time", [2.0, 0.0, 1.0])}, coords={"time": time}).to_netcdf(tmp_path / "table.nc")
    found = Table(path=tmp_path / "table.nc", time="time", standardise=False).load()
    np.testing.assert_array_equal(found.values[0, :, 0], [0, 1, 2])
    assert found.labels[0][1].startswith("2000-02-29" if calendar == "standard" else "2000-03-01")


def whole(folder, *times, **keys):
    return Table(path=csv(folder, "\n".join(["t,a", *(f"{time},{time % 7}" for time in times)])), time="t", **keys)


def test_times_far_apart(tmp_path):
    with pytest.raises(StudyError) as caught:
        whole(tmp_path, 0, 1, 10**12).load()
    assert str(caught.value) == (
        f"{tmp_path / 'table.csv'}: column 't': 1000000000001 steps of 1 would fill the gaps between 3 times from 0 to 1000000000000, "
        "expected at most 10000000; 'gaps: keep' leaves them as they are"
    )
    assert whole(tmp_path, 0, 1, 10**12, gaps="keep").load().lengths == (3,)
    assert whole(tmp_path, -(2**63), 0, 2**63 - 2**61).load().lengths == (8,)
    assert whole(tmp_path, 2**64 - 5, 2**64 - 1, 2**64 - 3).load().labels[0][1] == str(2**64 - 3)


@pytest.mark.parametrize("times", [(20200130, 20200131, 20200201), (202010, 202011, 202101)])
def test_gaps_between_dates_that_are_written_as_numbers(tmp_path, times):
    """There is no 32nd of January, nor a 13th month."""
    with pytest.raises(StudyError, match=rf"column 't': times from {times[0]} to {times[2]} are dates"):
        whole(tmp_path, *times).load()
    assert whole(tmp_path, *times, gaps="keep").load().lengths == (3,)


def test_gaps_between_numbers_like_dates(tmp_path):
    """Within a month or a year, dates are as far apart as their numbers."""
    assert whole(tmp_path, 202001, 202002, 202004).load().lengths == (4,)
    assert whole(tmp_path, 20200132, 20200201).load().lengths == (2,)
    assert whole(tmp_path, 202013, 202014, 202101).load().lengths == (89,)


def dated(folder, *times, **keys):
    """Rows in falling order, each with its number as value."""
    rows = [f"{time},{number}" for number, time in enumerate(times)]
    return Table(path=csv(folder, "\n".join(["t,a", *reversed(rows)])), time="t", standardise=False, **keys)


@pytest.mark.parametrize(
    ("times", "missing"),
    [
        # periods as they are written, whatever they leave out
        (["2000Q1", "2000Q2", "2000Q4"], {2: "2000Q3"}),
        (["2000-Q3", "2000-Q4", "2001-Q3"], {2: "2001-Q1", 3: "2001-Q2"}),
        (["2000-11", "2000-12", "2001-03"], {2: "2001-01", 3: "2001-02"}),
        (["2000-01", "2000-02", "2000-08"], {k: f"2000-{k + 1:02}" for k in range(2, 7)}),
        (["2020-W52", "2020-W53", "2021-W02"], {2: "2021-W01"}),
        (["2000W51", "2000W52", "2001W02"], {2: "2001W01"}),
        (["2000Q1", "2000Q3", "2001Q3"], {2: "2001Q1"}),
        # dates on one day of the month, or on its last
        (["2000-01-01", "2000-02-01", "2000-04-01"], {2: "2000-03-01"}),
        (["2000-01-31", "2000-02-29", "2000-04-30"], {2: "2000-03-31"}),
        (["2000-04-30", "2000-06-30", "2001-02-28"], {2: "2000-08-31", 3: "2000-10-31", 4: "2000-12-31"}),
        (["2000-01-30", "2000-02-29", "2000-04-30"], {2: "2000-03-30"}),
        (["2000-01-01", "2000-04-01", "2000-10-01"], {2: "2000-07-01"}),
        (["1999-12-31", "2000-12-31", "2002-12-31"], {2: "2001-12-31"}),
        # working days
        (["2020-01-02", "2020-01-03", "2020-01-06", "2020-01-08"], {3: "2020-01-07"}),
        (["2020-01-02 16:00", "2020-01-03 16:00", "2020-01-07 16:00"], {2: "2020-01-06 16:00:00"}),
        # whole multiples of the smallest gap
        (["2000-01-01", "2000-01-02", "2000-01-05"], {2: "2000-01-03", 3: "2000-01-04"}),
        (["2020-01-02", "2020-01-03", "2020-01-04", "2020-01-06"], {3: "2020-01-05"}),
        (["2000-01-05", "2000-01-12", "2000-01-26"], {2: "2000-01-19"}),
        (["2000-01-01T23:00Z", "2000-01-02T00:00Z", "2000-01-02T02:00Z"], {2: "2000-01-02T01:00:00+00:00"}),
        (["0.0", "0.1", "0.3"], {2: "0.2"}),
        (["2000.083", "2000.167", "2000.333"], {2: "2000.25"}),
    ],
)
def test_regular_times_that_are_left_out_are_missing_steps(tmp_path, capsys, times, missing):
    found = dated(tmp_path, *times).load()
    assert found.lengths == (len(times) + len(missing),)
    assert {step: found.labels[0][step] for step in missing} == missing
    given = [step for step in range(found.lengths[0]) if step not in missing]
    np.testing.assert_array_equal(np.flatnonzero(found.observed[0, :, 0]), given)
    np.testing.assert_array_equal(found.values[0, given, 0], np.arange(len(times)))
    assert [found.labels[0][step] for step in given] == times
    assert dated(tmp_path, *times, gaps="keep").load().labels == (tuple(times),)
    assert capsys.readouterr().err == ""


def test_whole_numbers_with_a_point_are_whole_numbers(tmp_path):
    """As pandas writes them where an entry was missing, in a join for one."""
    found = dated(tmp_path, "2000.0", "2001.0", "2004.0").load()
    assert found.labels == (("2000", "2001", "2002", "2003", "2004"),)
    assert found.observed[0, :, 0].tolist() == [True, True, False, False, True]
    assert dated(tmp_path, "1e15", "1e16", "4e16").load().labels == (("1000000000000000.0", "1e+16", "4e+16"),)


MULTIPLES = "found gaps that are not all whole multiples of the smallest"


@pytest.mark.parametrize(
    ("times", "told"),
    [
        (["0.0", "0.1", "0.25"], MULTIPLES),
        (["2020-01-06", "2020-01-08", "2020-01-10", "2020-01-13"], MULTIPLES),  # Monday, Wednesday, Friday
        (["2000-01-31", "2000-02-29", "2000-03-31", "2000-04-28"], MULTIPLES),  # the last working day
        (["2000-W51", "2000-W53", "2001-W03"], MULTIPLES),  # a week that ISO 8601 has not
        (["-1.7e308", "1.7e308", "1.75e308"], MULTIPLES),  # a gap that is infinite
        (
            ["2000-01-01", "2000-02-01", "2000-08-01"],
            "found 3 times with gaps that it would take 8 steps to fill, expected at most 6",
        ),
        (
            ["0.0", "0.1", "1e300"],
            "found 3 times with gaps that it would take more than 10000000 steps to fill, expected at most 6",
        ),
    ],
)
def test_other_times_are_neighbours_which_is_told(tmp_path, capsys, times, told):
    table = dated(tmp_path, *times)
    found = table.load()
    assert found.observed[0, :, 0].tolist() == [True] * len(times)
    assert (
        capsys.readouterr().err
        == f"{table.path}: column 't': {told}; rows follow each other as they are, as with 'gaps: keep'\n"
    )


def test_daily_times_when_the_clocks_change(tmp_path):
    """A day has 23 hours then."""
    times = [f"2020-03-{day}T00:00+0{2 if day > 29 else 1}:00" for day in (27, 28, 29, 30)]
    assert dated(tmp_path, *times[:2], *times[3:]).load().lengths == (4,)
    assert dated(tmp_path, *times).load().lengths == (4,)


@pytest.mark.parametrize(
    "times", [("2000", "2002", "2001"), ("2000-01-01", "2002-01-01", "2001-01-01"), ("0.5", "2.5", "1.5")]
)
def test_a_step_is_as_long_in_all_sequences(tmp_path, times):
    """Every second year of one is no neighbour where another has each."""
    first, last, between = times
    rows = (
        [f"A,{time},1" for time in (first, between, last)] + [f"B,{time},2" for time in (first, last)] + [f"C,{last},3"]
    )
    found = Table(path=csv(tmp_path, "\n".join(["g,t,a", *rows])), time="t", group="g", columns=["a"]).load()
    assert found.lengths == (3, 3, 1)
    assert found.labels == ((first, between, last), (first, between, last), (last,))
    assert not found.observed[1, 1, 0]


@pytest.mark.parametrize(
    ("times", "labels"),
    [
        (pd.to_datetime(["2000-01-01", "2000-01-02", "2000-01-04"]), ["2000-01-03 00:00:00", "2000-01-04 00:00:00"]),
        (pd.Index(pd.to_datetime(["2000-01-01", "2000-01-02", "2000-01-04"]).date), ["2000-01-03", "2000-01-04"]),
        (pd.PeriodIndex(["2000Q1", "2000Q2", "2000Q4"], freq="Q"), ["2000-07-01", "2000Q4"]),
        (pd.Index([0.5, 1.0, 2.0], dtype="Float64"), ["1.5", "2.0"]),
        (pd.Index([0.0, 1.0, 3.0], dtype="Float64"), ["2", "3"]),
        (pd.Index(["a", "b", "d"]).map({"a": 1, "b": 2, "d": 4}).astype("Int64"), ["3", "4"]),
        (pd.to_timedelta([0, 1, 3], unit="h"), ["0 days 02:00:00", "0 days 03:00:00"]),
        (
            pd.to_datetime(["2000-01-31", "2000-02-29", "2000-04-30"]).tz_localize("Europe/Berlin"),
            ["2000-03-31 00:00:00+02:00", "2000-04-30 00:00:00+02:00"],
        ),
    ],
)
def test_times_of_other_kinds(times, labels):
    """Which Parquet and NetCDF have."""
    column = sorted_times(TableFile(Path("table.parquet"), pd.DataFrame({"t": times})), "t")
    grid = grid_of([column])
    assert isinstance(grid, Grid)
    assert grid.steps(column, [str(time) for time in times]) == ([0, 1, 3], [ANY, ANY, *labels])


def test_dates_of_other_calendars_that_are_left_out(tmp_path):
    time = ("time", [0.0, 1.0, 3.0], {"units": "days since 2000-02-28", "calendar": "noleap"})
    xr.Dataset({"a": ("time", [0.0, 1.0, 2.0])}, coords={"time": time}).to_netcdf(tmp_path / "table.nc")
    found = Table(path=tmp_path / "table.nc", time="time").load()
    assert found.labels[0][2].startswith("2000-03-02")
    assert not found.observed[0, 2, 0]


def test_a_missing_group_is_named_by_its_line(tmp_path):
    path = csv(tmp_path, "g,t,a\nB,2,1\nNA,1,2\n")
    with pytest.raises(
        StudyError, match=r"column 'g', line 3: a group is missing, .*; NA and null count as missing too"
    ):
        Table(path=path, group="g", time="t").load()


@pytest.mark.parametrize(
    ("given", "names"), [(["10", "2", "01", "1"], ("01", "1", "2", "10")), (["b", "10", "9"], ("10", "9", "b"))]
)
def test_groups_keep_their_names(tmp_path, given, names):
    """As text in the file, sorted as numbers if all are: 01 and 1 are two."""
    path = csv(tmp_path, "\n".join(["g,a", *(f"{name},{number}" for number, name in enumerate(given))]))
    found = Table(path=path, group="g", columns=["a"], standardise=False).load()
    assert found.names == names
    assert [given[int(value)] for value in found.values[:, 0, 0]] == list(names)


def test_other_encodings(tmp_path):
    (tmp_path / "table.csv").write_bytes("zeit,größe\n1,2\n".encode("latin-1"))
    with pytest.raises(StudyError, match=r"table\.csv: expected text in UTF-8: .* can't decode byte"):
        Table(path=tmp_path / "table.csv").load()


def test_spaces_for_thousands_lose_no_channel(tmp_path):
    with pytest.raises(StudyError, match="column 'a', line 2: '1 000' is no number"):
        Table(path=csv(tmp_path, "a,b\n1 000,1\n2 000,2\n")).load()


def test_times_that_cannot_be_compared():
    """Objects, which a CSV file has none of."""
    mixed = pd.Series([pd.Timestamp("2020-01-01"), pd.Timestamp("2020-01-02", tz="UTC")], dtype=object, name="t")
    with pytest.raises(ValueError, match=r"column 't': .*; expected times of one kind"):
        sorted_times(TableFile(Path("table.parquet"), pd.DataFrame({"t": mixed})), "t")


def test_categories_are_no_order():
    """Parquet keeps them in the order in which they were first seen."""
    text = pd.Series(pd.Categorical(["10", "9", "11"], categories=["10", "9", "11"]), name="t")
    found = sorted_times(TableFile(Path("table.parquet"), pd.DataFrame({"t": text})), "t")
    assert list(found.index) == [1, 0, 2]


def test_the_index_of_a_parquet_file_is_a_column(frame, tmp_path):
    pytest.importorskip("pyarrow")
    frame.set_index(["country", "year"]).to_parquet(tmp_path / "table.parquet")
    found = Table(path=tmp_path / "table.parquet", group="country", time="year").load()
    assert (found.names, found.channels) == (("A", "B"), ("output", "prices"))
