// Helpers of the page's script. Texts always become text: nothing here or in the other files writes HTML.

const byId = (id) => document.getElementById(id);

/** A new element with attributes and children; a child that is no element is text. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** Says something to a reader who does not see the page. */
function say(text) {
  byId("page-says").textContent = text;
}

/** A number as the page's tables write it. */
function numberText(value, digits, signed = false) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const text = value.toFixed(digits);
  if (Number(text) === 0) return text.replace("-", "");
  return (signed && value > 0 ? "+" : "") + text.replace("-", "−");
}
