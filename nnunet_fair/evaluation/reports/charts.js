// Draws with Plotly, which stands in the page packed. Plotly reads a few tags in texts, so texts are escaped for it.

const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const short = (text, most) => (text.length <= most ? text : `${text.slice(0, most - 1)}…`);

/** Unpacks and runs the library; the page's policy lets this one run. */
async function chartingLibrary() {
  const packed = Uint8Array.from(atob(byId("charting-library").textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  document.head.append(element("script", {}, await new Response(stream).text()));
  return window.Plotly;
}

/** The page's colours, which depend on whether it is light or dark. */
function colours() {
  const style = getComputedStyle(document.documentElement);
  const found = (name) => style.getPropertyValue(`--${name}`).trim();
  return { ink: found("ink"), soft: found("soft"), line: found("line"), accent: found("accent"), warn: found("warn"), ground: found("ground") };
}

function chartLayout(colour, height, x, y) {
  const axis = { gridcolor: colour.line, linecolor: colour.soft, zerolinecolor: colour.soft, zeroline: false, automargin: true, fixedrange: true };
  return {
    height, margin: { l: 8, r: 12, t: 8, b: 8 }, showlegend: false, dragmode: false, hovermode: "closest",
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colour.ink, size: 12, family: getComputedStyle(document.body).fontFamily },
    hoverlabel: { bgcolor: colour.ground, bordercolor: colour.soft, font: { color: colour.ink }, align: "left" },
    xaxis: { ...axis, ...x }, yaxis: { ...axis, ...y },
  };
}

const CONFIG = { displayModeBar: false, responsive: true, doubleClick: false, showTips: false };

/** An axis of a metric: its name, and its whole range where it has one. */
function metricAxis(metric) {
  const range = metric.range === null ? {} : { range: [metric.range[0] - 0.03, metric.range[1] + 0.03] };
  return { title: { text: plain(metric.label) }, zeroline: metric.signed === true, ...range };
}
