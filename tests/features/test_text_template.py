from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.features.text_template import TextTemplate, template_of

ITEMS = pd.DataFrame(
    {
        "title": ["Red  lamp\n", None],
        "text": [["Bright.", "Warm."], []],
        "brand": ["Amber", np.nan],
        "categories": [[["Home", "Light"]], []],
        "price": [12.5, np.nan],
    }
)


def test_fields_are_joined_in_order():
    assert TextTemplate().render(ITEMS) == [["Red lamp\nAmber\nHome, Light\nBright. Warm."], [""]]


def test_separate_fields_keep_their_places():
    template = TextTemplate(fields=["title", "price", "brand"], separate=True)
    assert template.num_texts == 3
    assert template.render(ITEMS) == [["Red lamp", "12.5", "Amber"], ["", "", ""]]


def test_labels_stand_before_values_that_are_there():
    template = TextTemplate(fields=("title", "brand"), labels=True, separator="; ")
    assert template.render(ITEMS) == [["title: Red lamp; brand: Amber"], [""]]


def test_the_columns_that_prepare_writes():
    """A row as it comes out of Parquet, and one of which nothing is known."""
    items = pd.DataFrame(
        {
            "title": ["Red lamp", None],
            "text": [np.array(["Bright.", "Warm."], object), np.array([], object)],
            "brand": ["Amber", None],
            "categories": [np.array(["Home", "Light"], object), None],
            "price": [12.5, np.nan],
            "details": [{"Colour": "red", "Parts": ["foot", "shade"], "Size": None}, {}],
        }
    )
    fields = ("title", "text", "brand", "categories", "price", "details")
    rows = TextTemplate(fields=fields, separate=True).render(items)
    details = "Colour: red, Parts: foot, shade"
    assert rows[0] == ["Red lamp", "Bright. Warm.", "Amber", "Home, Light", "12.5", details]
    assert rows[1] == [""] * 6
    # Without being asked for by name: all but the price.
    assert TextTemplate().render(items)[0] == ["Red lamp\nAmber\nHome, Light\nBright. Warm."]


def test_a_misspelt_field_is_told(caplog):
    TextTemplate(fields=("title", "colour-of-it")).render(ITEMS)
    assert "'colour-of-it'" in caplog.text
    with pytest.raises(QBert4RecError, match="none of the template's fields titel"):
        TextTemplate(fields=("titel",)).render(ITEMS)


def test_settings_come_back():
    template = TextTemplate(fields=("title",), labels=True)
    assert template_of(template.to_dict()) == template
    assert template_of(None) == TextTemplate()


@pytest.mark.parametrize("fields", [[], ["a", "a"], "title", 5, [["title"]]])
def test_bad_fields(fields):
    with pytest.raises(QBert4RecError, match="fields"):
        template_of({"fields": fields})


def test_unknown_setting():
    with pytest.raises(QBert4RecError, match="'field'"):
        template_of({"field": ["title"]})
    with pytest.raises(QBert4RecError, match="mapping of settings .*'title'"):
        template_of("title")
