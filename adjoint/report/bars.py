"""The colour bar to the right of axes: values of colours, with their unit."""

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

BAR, GAP = 0.12, 0.1  # inches: width of the bar, its distance from the axes
NUMBERS = 0.62  # inches kept free for its numbers and the unit
BESIDE = GAP + BAR + NUMBERS


def colour_bar(ax: Axes, shown: ScalarMappable, label: str, logarithmic: bool, inch: float) -> None:
    """A bar as high as the axes, with few round numbers, and frames around both; inch: in units of the figure."""
    x, y, width, height = ax.get_position().bounds
    figure = ax.get_figure(root=True)
    assert figure is not None  # Axes of a sheet have one.
    bar = figure.add_axes((x + width + GAP * inch, y, BAR * inch, height))
    figure.colorbar(shown, cax=bar, label=label)
    bar.minorticks_off()
    if logarithmic:
        bar.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        bar.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        bar.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    for frame in (ax, bar):
        frame.grid(visible=False)
        frame.spines[:].set_visible(True)
