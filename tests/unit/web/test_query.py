"""Query strings of QIDO-RS: read, or refused by one error, whatever they hold."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundglass.errors import UsageError
from groundglass.registry.search import Between, Like, OneOf
from groundglass.web.dicomweb.query import LONGEST_LIST, parse

NAMES = (
    *("StudyDate", "00080030", "PatientID", "StudyInstanceUID", "ModalitiesInStudy", "SeriesNumber", "PatientName"),
    *("InstanceNumber", "SOPInstanceUID", "AccessionNumber", "limit", "offset", "includefield", "fuzzymatching"),
)


@given(st.lists(st.tuples(st.sampled_from(NAMES) | st.text(max_size=20), st.text(max_size=40)), max_size=6))
def test_anything_is_understood_or_refused(parameters: list[tuple[str, str]]):
    try:
        query = parse(parameters, "instance")
    except UsageError as error:
        repeated = [value for _, value in parameters if len(value) > 8 and value in str(error)]
        assert repeated == []
        return
    assert 0 <= query.limit <= LONGEST_LIST
    for warning in query.warnings:
        assert '"' not in warning


@given(st.dates(date(1900, 1, 1), date(2099, 12, 31)), st.dates(date(1900, 1, 1), date(2099, 12, 31)))
def test_dates_and_ranges(first: date, last: date):
    text = f"{first:%Y%m%d}-{last:%Y%m%d}"
    assert parse([("StudyDate", text)], "study").conditions == (Between("study_date", first, last),)
    assert parse([("StudyDate", f"{first:%Y%m%d}")], "study").conditions == (Between("study_date", first, first),)


@given(st.text(st.characters(exclude_characters="\0*?"), min_size=1, max_size=30))
def test_a_text_without_wildcards_is_taken_as_it_is(text: str):
    assert parse([("StudyDescription", text)], "study").conditions == (OneOf("study_description", (text,)),)


def test_wildcards_are_ours_and_those_of_the_database_are_not():
    (found,) = parse([("StudyDescription", "*50%_\\?")], "study").conditions
    assert found == Like("study_description", "%50\\%\\_\\\\_")


def test_fields_by_keyword_and_tag_are_tags():
    found = parse([("includefield", "SliceThickness,0020000d"), ("includefield", "Unheard,all")], "study")
    assert found.include == ("00180050", "0020000D", "Unheard", "all")


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_each_level_has_its_attributes(level: str):
    expected = {"SeriesNumber": level != "study", "InstanceNumber": level == "instance", "PatientID": True}
    for name, known in expected.items():
        if known:
            parse([(name, "1")], level)  # type: ignore[arg-type]
        else:
            with pytest.raises(UsageError):
                parse([(name, "1")], level)  # type: ignore[arg-type]


def test_a_list_is_never_longer_than_ours():
    assert parse([("limit", "999999999")], "study").limit == LONGEST_LIST
    assert parse([], "study").limit == LONGEST_LIST
