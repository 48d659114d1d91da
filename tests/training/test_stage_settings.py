import pytest

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.fusion.configuration_fusion import QBert4RecFusionConfig
from qbert4rec_hf.training.stage_settings import (
    FusionSettings,
    QuantizerSettings,
    check_schedule,
    make_config,
)


def test_given_fields_and_those_of_the_data_come_together():
    config = make_config(QBert4RecFusionConfig, {"max_layers": 3}, num_items=7)
    assert (config.max_layers, config.num_items, config.hidden_size) == (3, 7, 256)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"max_layer": 3}, "did you mean max_layers"),
        ({"num_items": 3}, "comes from the data"),
        ({"hidden_size": 30}, "hidden_size 30 cannot be shared"),
        ({"depth": "deep"}, "model.depth must be one of dynamic, fixed, got 'deep'"),
        ({"hidden_size": "wide"}, "model.hidden_size must be a whole number, got 'wide'"),
        ({"dropout": [0.1]}, "model.dropout must be a number"),
        ({"dropout": 2}, "^model: dropout is 2"),
    ],
)
def test_wrong_fields_are_named_in_one_line(given, reason):
    with pytest.raises(QBert4RecError, match=reason) as error:
        make_config(QBert4RecFusionConfig, given, num_items=7)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["epochs", "batch_size", "learning_rate", "evaluate_every"])
def test_schedules_that_cannot_run(name):
    with pytest.raises(QBert4RecError, match=name):
        check_schedule(QuantizerSettings(**{name: 0}))
    check_schedule(FusionSettings())
