"""What a training took in energy, as far as time and hardware tell."""

from __future__ import annotations

import re

# Nobody meters a training here. Rough figures, said beside the estimate: what a busy core of a
# server and an accelerator draw, and the world's average of grams of CO2 a kWh (2023).
WATTS_A_CORE = 10
WATTS_A_GPU = 400
GRAMS_A_KWH = 480


def energy(machine: str, seconds: float) -> str:
    """An estimate with the assumptions it rests on, in words.

    Args:
        machine: as manifests have it, such as "x86_64, 2 CPU cores, NVIDIA H100"; stages that ran
            on different hardware are separated by ";", and the hungriest one counts for all.
        seconds: of all stages.

    Returns:
        A clause; that there is no estimate where time or hardware are not known.
    """
    assumed = [_watts(part) for part in machine.split(";")]
    if seconds <= 0 or None in assumed:
        return "not metered"
    watts, gpu = max(assumed)
    hours = watts * seconds / 3600
    per_part = f"{WATTS_A_CORE} W a CPU core" + (f" and {WATTS_A_GPU} W the GPU" if gpu else "")
    return (
        f"not metered; at an assumed {per_part} some {_rounded(hours)} Wh, or "
        f"{_rounded(hours * GRAMS_A_KWH / 1000)} g of CO2 at {GRAMS_A_KWH} g a kWh"
    )


def _watts(machine: str) -> tuple[float, bool] | None:
    """Assumed power, and whether an accelerator is among it; None for unknown hardware."""
    found = re.fullmatch(r"\s*[^,;]*, (\d+) CPU cores?(, .+)?", machine)
    if found is None:
        return None
    gpu = found[2] is not None
    return int(found[1]) * WATTS_A_CORE + gpu * WATTS_A_GPU, gpu


def _rounded(value: float) -> str:
    """Two digits, which is more than the estimate is worth."""
    return f"{float(f'{value:.2g}'):,.15g}"
