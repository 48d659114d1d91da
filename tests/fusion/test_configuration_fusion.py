import pytest

from qbert4rec_hf.fusion.configuration_fusion import QBert4RecFusionConfig


def test_modality_order_survives_the_file(tmp_path):
    config = QBert4RecFusionConfig(modalities={"text": 4, "image": 3})
    config.save_pretrained(tmp_path)
    loaded = QBert4RecFusionConfig.from_pretrained(tmp_path)
    assert loaded.modality_names == config.modality_names == ["image", "text"]
    assert loaded.to_dict()["modalities"] == {"text": 4, "image": 3}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"modalities": {}}, "at least one"),
        ({"modalities": {"text": 0}}, "at least one axis"),
        ({"hidden_size": 30}, "multiple"),
        ({"num_items": -1}, "num_items"),
        ({"max_layers": 0}, "max_layers"),
        ({"num_attention_heads": 0}, "num_attention_heads"),
        ({"consistency_weight": -0.1}, "consistency_weight"),
        ({"expected_depth": 6}, "between 1 and max_layers"),
        ({"attention_temperature": 0}, "above 0"),
        ({"id_dropout": 1.5}, "0 to 1"),
        ({"depth": "deep"}, "depth"),
        ({"dropout": "much"}, "dropout"),
        ({"format_version": 2}, "later than this code reads"),
    ],
)
def test_values_that_cannot_work_are_refused(fields, reason):
    with pytest.raises(Exception, match=reason):
        QBert4RecFusionConfig(**fields)
