"""Named sizes. A preset only sets defaults of parameters, and is in every key through them."""

from bench.discover import unknown

PRESETS = {
    "smoke": "seconds: tiny nets and few inputs, for tests and first tries",
    "laptop": "minutes on two cores; the default",
    "paper": "the paper's sizes; for a GPU",
}
DEFAULT = "laptop"


def check(name: str) -> str:
    """Return ``name`` if there is such a preset, else raise with the nearest one."""
    if name not in PRESETS:
        raise unknown("preset", name, list(PRESETS))
    return name
