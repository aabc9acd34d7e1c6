"""How the page looks (light, dark, narrow, printed) and what its slider does."""

STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --paper: #ffffff; --panel: #f6f7f9; --grid: #d3d7dc;
  --soft: #59626d; --good: #00694d; --bad: #a84600; --blue: #0072b2; --sky: #56b4e9; --green: #009e73;
  --orange: #e69f00; --vermillion: #d55e00; --purple: #cc79a7; --gray: #999999; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7eb; --paper: #14171b; --panel: #1c2026;
  --grid: #3a4149; --soft: #a3adb8; --good: #3fcf9f; --bad: #ff9a57; --blue: #3b9fe8; --green: #1fbf92;
  --vermillion: #f07830; --gray: #8b949e; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem clamp(0.8rem, 3vw, 2.5rem); max-width: 92rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: clamp(1.3rem, 2.6vw, 1.9rem); line-height: 1.25; margin: 0 0 0.3rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 0.8rem; padding-bottom: 0.25rem; }
h2 { border-bottom: 1px solid var(--grid); }
h3 { font-size: 1rem; margin: 1.2rem 0 0.5rem; }
a { color: var(--blue); }
p { margin: 0.4rem 0; }
h1, p { overflow-wrap: anywhere; }
.badge { display: inline-block; padding: 0.25rem 0.7rem; border: 2px solid; border-radius: 0.5rem; }
.badge.passed { border-color: var(--good); }
.badge.passed strong { color: var(--good); }
.badge.failed { border-color: var(--bad); }
.badge.failed strong { color: var(--bad); }
.key { display: grid; grid-template-columns: repeat(auto-fit, minmax(7.3rem, 1fr)); gap: 0.6rem; margin: 1rem 0 0; }
.key div { padding: 0.6rem 0.7rem; background: var(--panel); border-radius: 0.5rem; }
.key dt { font-size: 0.8rem; color: var(--soft); }
.key dd { margin: 0; font-size: 1.1rem; font-weight: 600; white-space: nowrap; font-variant-numeric: tabular-nums; }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 1rem; }
.panels.few { grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); }
.panels.few figure { max-width: 45rem; }
figure { margin: 0; min-width: 0; break-inside: avoid; }
.panels figure { padding: 0.6rem; border: 1px solid var(--grid); border-radius: 0.5rem; }
figcaption { font-weight: 600; }
svg { display: block; width: 100%; height: auto; }
img { display: block; border: 1px solid var(--grid); background: #ffffff; }
img.coarse { image-rendering: pixelated; }
.viewer { display: none; margin-bottom: 1.2rem; }
.viewer.live { display: block; }
.controls { display: flex; flex-wrap: wrap; gap: 0.3rem 1rem; align-items: center; margin-top: 0.6rem; }
.viewer button { width: 2.2rem; height: 2.2rem; border: 1px solid var(--grid); border-radius: 50%; padding: 0;
  color: var(--ink); background: var(--panel); font-size: 0.9rem; cursor: pointer; }
.viewer input { flex: 1 1 12rem; min-width: 0; }
.viewer output { min-width: 9rem; font-variant-numeric: tabular-nums; }
.strip { display: grid; gap: 0.8rem;
  grid-template-columns: repeat(auto-fill, minmax(min(45%, var(--least)), 1fr)); }
.strip figcaption { font-size: 0.85rem; font-weight: 400; color: var(--soft); }
.tables { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); gap: 0 2rem;
  align-items: start; }
.scroll { overflow-x: auto; margin-bottom: 1.2rem; }
table { border-collapse: collapse; width: 100%; font-size: 0.85rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: 0.3rem 0; }
th, td { padding: 0.25rem 0.4rem; border-bottom: 1px solid var(--grid); text-align: right; }
th, td { white-space: nowrap; }
thead th { color: var(--soft); font-weight: 500; white-space: normal; vertical-align: bottom; }
tbody th { font-weight: 500; }
th:first-child { text-align: left; padding-left: 0; }
th.words, td.words { text-align: left; padding-left: 1.2rem; white-space: normal; }
th.words:first-child { padding-left: 0; }
td.words { min-width: 7rem; }
.pairs td { white-space: normal; overflow-wrap: anywhere; }
.pairs th { vertical-align: top; }
svg.swatch { display: inline-block; width: 1.75rem; height: 0.5rem; margin-right: 0.6rem; vertical-align: middle; }
.legend { position: sticky; top: 0; z-index: 1; display: flex; flex-wrap: wrap; gap: 0.2rem 1.6rem; margin: 0;
  padding: 0.4rem 0; background: var(--paper); }
.ends { display: grid; gap: 0.8rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 14rem), 1fr)); }
.ends figure { max-width: 30rem; }
.ends img { width: 100%; }
.ends figcaption { font-size: 0.85rem; font-weight: 400; color: var(--soft); }
details { border: 1px solid var(--grid); border-radius: 0.5rem; margin-bottom: 0.8rem; }
summary { padding: 0.6rem 0.9rem; cursor: pointer; }
summary strong { margin-right: 0.6rem; }
.run { padding: 0 0.9rem 0.9rem; }
.run > h2:first-child { margin-top: 0.6rem; }
footer { margin-top: 2rem; font-size: 0.85rem; color: var(--soft); }
@media print {
  :root { color-scheme: light; --ink: #000000; --paper: #ffffff; --panel: #ffffff; --grid: #c8c8c8;
    --soft: #444444; --blue: #0072b2; --green: #009e73; --vermillion: #d55e00; --gray: #999999;
    --good: #00694d; --bad: #a84600; }
  body { padding: 0; font-size: 9.5pt; max-width: none; }
  .viewer.live { display: none; }
  .legend { position: static; }
  .panels, .panels.few, .tables { grid-template-columns: 1fr 1fr; }
  .key { grid-template-columns: repeat(5, 1fr); }
  .key div { border: 1px solid var(--grid); }
  table { font-size: 7pt; }
  th, td { padding: 0.15rem 0.3rem; }
  h2 { break-after: avoid; }
  table, tr { break-inside: avoid; }
  .scroll { overflow: visible; }
}
"""

# Each viewer holds its frames, [[iteration, data URI], …]; without scripts the strip of designs stays, sliders hidden.
SCRIPT = """
for (const viewer of document.querySelectorAll(".viewer")) {
  const frames = JSON.parse(viewer.querySelector("script").textContent);
  const picture = viewer.querySelector("img"), slider = viewer.querySelector("input");
  const shown = viewer.querySelector("output"), button = viewer.querySelector("button");
  let timer = 0;
  const show = () => {
    const [iteration, source] = frames[slider.value];
    picture.src = source;
    picture.alt = "Design at iteration " + iteration;
    shown.textContent = "iteration " + iteration;
    slider.setAttribute("aria-valuetext", shown.textContent);
  };
  const pause = () => { clearInterval(timer); timer = 0; button.textContent = "\u25b6"; };
  const step = () => {
    slider.value = Number(slider.value) + 1;
    show();
    if (slider.value === slider.max) pause();
  };
  slider.addEventListener("input", () => { pause(); show(); });
  button.addEventListener("click", () => {
    if (timer) return pause();
    if (slider.value === slider.max) slider.value = 0;
    show();
    button.textContent = "\u275a\u275a";
    timer = setInterval(step, Math.min(250, 8000 / frames.length));
  });
  viewer.classList.add("live");
}
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => { each.open = true; }));
"""
