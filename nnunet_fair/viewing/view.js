"use strict";
// Shows one of the named cases with NiiVue. Names always become text.

const byId = (id) => document.getElementById(id);
// Okabe and Ito's colours, as in the report: orange reference, blue, red and green predictions.
const COLOURS = [[230, 159, 0], [86, 180, 233], [213, 94, 0], [0, 158, 115]];

function say(text) {
  byId("place").textContent = text;
}

async function begin() {
  const names = JSON.parse(byId("cases").textContent);
  const viewer = new niivue.Niivue({
    backColor: [0.08, 0.09, 0.11, 1], loadingText: "", crosshairColor: [0.9, 0.9, 0.9, 0.6], crosshairWidth: 0.3, isResizeCanvas: true,
    dragAndDropEnabled: false, isNearestInterpolation: true,
  });
  COLOURS.forEach(([r, g, b], i) => viewer.addColormap(`mask${i}`, { R: [0, r], G: [0, g], B: [0, b], A: [0, 255], I: [0, 255] }));
  await viewer.attachTo("canvas");
  let about = null;
  let asked = 0;

  function dims() {
    return viewer.volumes[0].dimsRAS.slice(1, 4);
  }

  function showPlace() {
    const slice = Math.min(dims()[2] - 1, Math.floor(viewer.scene.crosshairPos[2] * dims()[2]));
    byId("slice").value = slice;
    say(`axial slice ${slice} of 0 to ${dims()[2] - 1}${about.has_image ? "" : "; there is no image"}`);
    byId("canvas").setAttribute("aria-label", `${about.name}, ${byId("place").textContent}`);
  }
  viewer.onLocationChange = () => about !== null && viewer.volumes.length > 0 && showPlace();

  function showMasks() {
    [...byId("masks").querySelectorAll("input")].forEach((box, i) => viewer.setOpacity(i + 1, box.checked ? Number(byId("opacity").value) : 0));
  }

  async function show(number) {
    const mine = ++asked;
    say("loading …");
    const found = await (await fetch(`case/${number}.json`)).json();
    if (mine !== asked) return;
    about = found;
    document.title = found.name;
    if (found.problem) {
      for (const volume of [...viewer.volumes]) viewer.removeVolume(volume);
      return say(found.problem);
    }
    const hidden = new Set([...byId("masks").querySelectorAll("input")].filter((box) => !box.checked).map((box) => box.name));
    byId("masks").replaceChildren(byId("masks").querySelector("legend"), ...found.masks.map((name, i) => {
      const label = document.createElement("label");
      const box = Object.assign(document.createElement("input"), { type: "checkbox", name, checked: !hidden.has(name) });
      box.addEventListener("change", showMasks);
      const key = Object.assign(document.createElement("span"), { className: "key" });
      key.style.background = `rgb(${COLOURS[i % COLOURS.length]})`;
      label.append(box, " ", key, name);
      return label;
    }));
    await viewer.loadVolumes([
      { url: `case/${number}/image.nii`, name: "image.nii" },
      ...found.masks.map((_, i) => ({ url: `case/${number}/${byId("kind").value}/${i}.nii`, name: `mask${i}.nii`, colormap: `mask${i % COLOURS.length}`, cal_min: 0, cal_max: 1 })),
    ]);
    if (mine !== asked) return;
    byId("slice").max = dims()[2] - 1;
    viewer.scene.crosshairPos = viewer.mm2frac(found.crosshair);
    showMasks();
    viewer.drawScene();
    showPlace();
    document.documentElement.dataset.shown = found.name;
  }

  byId("case").replaceChildren(...names.map((name, i) => new Option(name, i)));
  byId("case").addEventListener("change", () => show(Number(byId("case").value)));
  byId("kind").addEventListener("change", () => show(Number(byId("case").value)));
  byId("view").addEventListener("change", () => viewer.setSliceType(Number(byId("view").value)));
  byId("opacity").addEventListener("input", showMasks);
  byId("slice").addEventListener("input", () => {
    const place = [...viewer.scene.crosshairPos];
    place[2] = (Number(byId("slice").value) + 0.5) / dims()[2];
    viewer.scene.crosshairPos = place;
    viewer.drawScene();
    showPlace();
  });
  viewer.setSliceType(3);
  await show(0);
}

begin().catch((error) => {
  say(`The case cannot be shown by this browser: ${error.message || error}. NiiVue needs WebGL 2.`);
});
