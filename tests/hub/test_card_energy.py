from __future__ import annotations

import pytest

from qbert4rec_hf.hub.card_energy import energy
from qbert4rec_hf.runs.manifest import this_machine


@pytest.mark.parametrize(
    ("machine", "seconds", "watt_hours", "grams"),
    [
        ("x86_64, 2 CPU cores", 180, "1", "0.48"),
        ("arm64, 1 CPU cores", 36_000, "100", "48"),
        ("x86_64, 16 CPU cores, NVIDIA H100 80GB HBM3", 3_600, "560", "270"),
        # The hungriest counts for all, so it is not too little.
        ("x86_64, 16 CPU cores; x86_64, 16 CPU cores, NVIDIA H100", 3_600, "560", "270"),
        ("x86_64, 1000 CPU cores", 360_000, "1,000,000", "480,000"),
    ],
)
def test_an_estimate_says_what_it_rests_on(machine, seconds, watt_hours, grams):
    text = energy(machine, seconds)
    assert text.startswith("not metered; at an assumed 10 W a CPU core")
    assert ("400 W the GPU" in text) == ("NVIDIA" in machine)
    assert f" some {watt_hours} Wh, or {grams} g of CO2 at 480 g a kWh" in text


@pytest.mark.parametrize("machine", ["", "a machine", "x86_64, 2 CPU cores; unknown"])
def test_nothing_is_made_up_where_hardware_or_time_are_not_known(machine):
    assert energy(machine, 100) == "not metered"
    assert energy("x86_64, 2 CPU cores", 0) == "not metered"


def test_it_reads_what_manifests_hold():
    assert "Wh" in energy(this_machine(), 1)
