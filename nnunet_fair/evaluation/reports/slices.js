// Scrolls through the slices of a case: a slider under its picture.

const SVG = "http://www.w3.org/2000/svg";
const DASHES = { solid: "", dashed: "5 3", dotted: "1.5 3" };

function svgElement(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

/** One slice: the part of the sheet it is in, and the lines of the masks. */
function sliceView(stack) {
  const [height, width] = stack.size;
  const view = svgElement("svg", {
    viewBox: `0 0 ${width} ${height}`, class: "slice", role: "img", preserveAspectRatio: "none",
    style: `aspect-ratio: ${1 / stack.height_of_width}`,
  });
  view.append(svgElement("rect", { width, height, fill: "#1f1f1f" }));
  const image = svgElement("image", {
    width: width * stack.columns, height: height * Math.ceil(stack.n / stack.columns), preserveAspectRatio: "none",
  });
  if (stack.sheet) {
    image.setAttribute("href", stack.sheet);
    view.append(image);
  }
  // Paths are in half pixels.
  const lines = svgElement("g", { transform: "scale(0.5)", fill: "none", "stroke-width": "2" });
  for (const line of stack.contours) {
    lines.append(svgElement("path", {
      stroke: line.colour, "stroke-dasharray": DASHES[line.style], "vector-effect": "non-scaling-stroke",
    }));
  }
  view.append(lines);
  const show = (number) => {
    image.setAttribute("x", -(number % stack.columns) * width);
    image.setAttribute("y", -Math.floor(number / stack.columns) * height);
    stack.contours.forEach((line, i) => lines.children[i].setAttribute("d", line.paths[number]));
    const there = stack.contours.filter((line) => line.paths[number]).map((line) => line.name);
    view.setAttribute("aria-label", `Slice ${stack.first + number}: ${there.join(" and ") || "no mask"}`);
    return there;
  };
  return { view, show };
}

function scrollable(figure) {
  const stack = JSON.parse(figure.querySelector("script.slices").textContent);
  const picture = figure.querySelector("img");
  const slider = element("input", {
    type: "range", min: 0, max: stack.n - 1, value: stack.best - stack.first,
    "aria-label": `Slice of ${figure.dataset.case}`,
  });
  const label = element("span", { class: "soft" }, `slices ${stack.first} to ${stack.first + stack.n - 1} of 0 to ${stack.n_all - 1}`);
  let show = null;
  const move = () => {
    if (show === null) {
      const made = sliceView(stack);
      show = made.show;
      picture.hidden = true;
      picture.after(made.view);
    }
    const there = show(Number(slider.value));
    const text = `slice ${stack.first + Number(slider.value)}: ${there.join(", ") || "no mask"}`;
    label.textContent = text;
    slider.setAttribute("aria-valuetext", text);
  };
  slider.addEventListener("input", move);
  picture.addEventListener("click", move);
  picture.after(element("div", { class: "slider" }, slider, label));
}

for (const data of document.querySelectorAll("script.slices")) scrollable(data.closest("figure"));
