// Each viewer holds its frames, [[iteration, data URI], …]; without scripts there are no controls.
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
