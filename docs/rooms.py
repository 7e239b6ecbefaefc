"""Draw the rooms of docs/architecture.md and what passes between them: `python docs/rooms.py docs/images/rooms.svg`."""

import argparse

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

FACES = ("cli", "app", "demo", "doctor", "inspect", "__main__")
STATIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "Micrograph": ("read", ("vendors", "decode", "sources", "micrograph", "mark", "phase_map")),
    "Dataset": ("prepare", ("data", "conditions", "simulation", "interop")),
    "Generator": ("train", ("config", "models", "augment", "losses", "training", "study", "reproduce")),
    "pictures": ("generate", ("card", "generator", "shipped", "hub", "draw", "latent", "design")),
    "scores": ("evaluate", ("microstructure", "metrics", "fields", "measurement", "evaluation", "report")),
}
"""What comes out, the verb that makes it, and the rooms that do it."""
GROUND = ("errors", "untrusted", "allocator", "atomic", "seeds", "team")

WIDTH, HEIGHT, STEP = 1.6, 0.42, 2.0
GREY, BLUE, GREEN = "#eceff1", "#cfd8dc", "#dcedc8"


def box(axes: Axes, x: float, y: float, text: str, colour: str, *, bold: bool = False) -> None:
    """A room, or what passes on, with its middle at x and its lower edge at y."""
    style = f"round,pad=0,rounding_size={0.2 if bold else 0.05}"
    axes.add_patch(FancyBboxPatch((x - WIDTH / 2, y), WIDTH, HEIGHT, style, facecolor=colour, edgecolor="#607d8b"))
    weight = "bold" if bold else "normal"
    axes.text(x, y + HEIGHT / 2, text, ha="center", va="center", size=11, weight=weight, color="#263238")


def band(axes: Axes, y: float, title: str, rooms: tuple[str, ...]) -> None:
    """Rooms side by side over the whole width."""
    axes.text(-WIDTH / 2, y + HEIGHT + 0.1, title, size=11, style="italic", color="#455a64")
    for number, room in enumerate(rooms):
        box(axes, number * STEP * (len(STATIONS)) / (len(rooms) - 1), y, room, GREY)


def draw() -> Figure:
    """Columns of rooms under what they make; all use the ground, and are used by the faces."""
    figure = Figure(figsize=(12, 7.6))
    axes = figure.add_axes((0.01, 0.01, 0.98, 0.98))
    axes.set(xlim=(-1, STEP * len(STATIONS) + 1), ylim=(-1.3, 7.2), aspect="equal")
    axes.axis("off")
    band(axes, 6.3, "what a user meets", FACES)
    box(axes, 0, 5, "raw files", GREEN, bold=True)
    for number, (made, (verb, rooms)) in enumerate(STATIONS.items(), start=1):
        x = number * STEP
        arrow = {"arrowstyle": "-|>", "color": "#37474f"}
        axes.annotate("", (x - WIDTH / 2, 5 + HEIGHT / 2), (x - STEP + WIDTH / 2, 5 + HEIGHT / 2), arrowprops=arrow)
        axes.text(x, 5 + HEIGHT + 0.1, verb, ha="center", size=11, style="italic", color="#455a64")
        box(axes, x, 5, made, GREEN, bold=True)
        for row, room in enumerate(rooms):
            box(axes, x, 4.2 - 0.6 * row, room, BLUE)
    band(axes, -1.1, "what all stand on", GROUND)
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", help="SVG")
    args = parser.parse_args()
    matplotlib.rcParams |= {"svg.hashsalt": "rooms", "svg.fonttype": "none", "font.family": "sans-serif"}
    draw().savefig(args.out, metadata={"Date": None})
