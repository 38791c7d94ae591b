"""Records of schema 1, brought up to the present one."""

from __future__ import annotations

import msgspec

from bench.store.schema import DETECTION, PROBED, SCHEMA, Headline, Record, protected_headlines

_RENAMED = {"in_colour": "rgb_beta_scale", "map_updates": "conv_min_updates",
            "negligible": "min_weight"}  # fmt: skip
# What the scenarios declared when schema 1 was the last; later ones declare it in their records.
_DECLARED = {
    "cross_dataset": (
        Headline("near", group="near", order=10), Headline("far", group="far", order=10),
    ),
    "corruption": (Headline("corruption", order=20),),
    "speech_corruption": (Headline("speech corruption", order=20),),
    "adversarial": (
        Headline("FGSM", view="fgsm", order=30),
        Headline("FGSM transfer", view="fgsm_transfer", order=30),
    ),
    "heldout": (Headline("held out", order=40),),
    "speaker": (Headline("speaker"),),
    "clean": (
        Headline("accuracy", "accuracy", order=80), Headline("ECE", "ece", order=80),
    ),
    "cost": (
        Headline("fit", "fit_seconds", board=False, order=90),
        Headline("cost / standard", "ratio_to_standard", board=False, order=90),
    ),
}  # fmt: skip


def upgraded(record: Record) -> Record:
    """A record of schema 1 as schema 2: new names of parameters, what its scenario declares."""
    scenario = record.scenario.partition(":")[0]
    detects = any(DETECTION in row.metrics and row.score != PROBED for row in record.rows)
    if scenario == "protected":
        protect = record.scenario_params.get("protect")
        headlines = protected_headlines(protect if isinstance(protect, list) else [])
    else:
        own = (Headline(scenario.replace("_", " ")),) if detects else ()
        headlines = _DECLARED.get(scenario, own)
    return msgspec.structs.replace(
        record, schema=SCHEMA, detects=detects, headlines=headlines,
        params={_RENAMED.get(name, name): value for name, value in record.params.items()},
        method=_renamed(record.method),
    )  # fmt: skip


def _renamed(label: str) -> str:
    for old, new in _RENAMED.items():
        label = label.replace(f":{old}=", f":{new}=").replace(f",{old}=", f",{new}=")
    return label
