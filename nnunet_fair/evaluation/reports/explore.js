// The part of the page to explore: two charts and a table of the cases, and one choice of cases that shows everywhere.

const SHOWN_FIRST = 50; // rows of the table of cases

function explore(report) {
  const cases = report.cases;
  const chosen = { class: 0, attribute: 0, metric: 0, group: null, case: null, change: "all", text: "" };
  const table = { column: null, descending: false, all: false };
  let Plotly = null;

  const found = () => report.classes[chosen.class];
  const metric = () => report.metrics[chosen.metric];
  const attribute = () => report.attributes[chosen.attribute];
  const code = (i) => cases.groups[chosen.attribute][i];
  const values = (key) => found().values[key];
  const rows = () => found().groups.filter((row) => row.attribute === chosen.attribute);

  /** Whether a case has a score in the class that is shown. */
  const hasScore = (i) => values(report.metrics[0].key)[i] !== null;
  function changed(i) {
    const moved = values("difference")[i];
    return chosen.change === "all" || (chosen.change === "rose" ? moved > 0 : chosen.change === "fell" ? moved < 0 : moved === 0);
  }
  const isChosen = (i) =>
    hasScore(i) && (chosen.group === null || code(i) === chosen.group) && (!report.changes || changed(i)) &&
    cases.ids[i].toLowerCase().includes(chosen.text);
  const narrowed = () => chosen.group !== null || chosen.change !== "all" || chosen.text !== "";

  function listed() {
    const all = cases.ids.map((_, i) => i).filter(isChosen);
    if (table.column === null) return all;
    const { get } = columns()[table.column];
    return all.sort((a, b) => inOrder(get(a), get(b), table.descending));
  }

  function columns() {
    const groups = report.attributes.map((entry, a) => ({
      label: entry.name, text: (i) => (cases.groups[a][i] < 0 ? "–" : entry.groups[cases.groups[a][i]]),
      get: (i) => (cases.groups[a][i] < 0 ? null : cases.groups[a][i]), left: true,
    }));
    const numbers = report.metrics.filter((entry) => values(entry.key)).map((entry) => ({
      label: entry.label, text: (i) => numberText(values(entry.key)[i], entry.digits, entry.signed), get: (i) => values(entry.key)[i],
    }));
    const volume = values("volume") ? [{ label: "volume (mL)", text: (i) => numberText(values("volume")[i], 2), get: (i) => values("volume")[i] }] : [];
    return [{ label: "Case", text: (i) => cases.ids[i], get: (i) => cases.ids[i], left: true }, ...numbers, ...volume, ...groups];
  }

  function about(i) {
    const groups = report.attributes.map((entry, a) => (cases.groups[a][i] < 0 ? null : `${entry.name}: ${entry.groups[cases.groups[a][i]]}`));
    const value = `${metric().label}: ${numberText(values(metric().key)[i], metric().digits, metric().signed)}`;
    return [cases.ids[i], value, ...groups.filter((text) => text !== null)];
  }

  // ---------------------------------------------------------------- choosing

  function choose(change) {
    Object.assign(chosen, change);
    if (!("case" in change)) chosen.case = null;
    table.all = false;
    show();
  }

  function chooseGroup(group) {
    choose({ group: chosen.group === group ? null : group });
  }

  function chooseCase(i) {
    choose({ case: chosen.case === i ? null : i });
  }

  // ---------------------------------------------------------------- what is shown

  function sentence() {
    const group = chosen.group === null ? "All cases" : `${attribute().name} = ${attribute().groups[chosen.group]}`;
    const some = { all: "", rose: ", those that rose", fell: ", those that fell", same: ", those that did not change" }[chosen.change];
    const name = `${group}${some}${chosen.text === "" ? "" : `, named like “${chosen.text}”`}`;
    const parts = [report.classes.length > 1 ? `${found().name}: ${name}` : name];
    const row = rows().find((entry) => entry.group === chosen.group);
    const mean = (chosen.group === null ? found().all : row)?.means[metric().key];
    if (mean && chosen.change === "all" && chosen.text === "") {
      const text = (value) => numberText(value, metric().digits, metric().signed);
      parts.push(`mean ${metric().label} ${text(mean[0])}${mean[1] === null ? "" : ` (${text(mean[1])} to ${text(mean[2])})`}`);
    }
    if (cases !== null) parts.push(`${listed().length} of ${cases.ids.filter((_, i) => hasScore(i)).length} cases`);
    else if (row || chosen.group === null) parts.push(`${(row || found().all).n} cases`);
    const single = chosen.case === null ? "" : ` Case ${about(chosen.case).join(", ")}.`;
    return `${parts.join("; ")}.${single}`;
  }

  function showGroups() {
    const box = byId("explore-groups");
    box.setAttribute("aria-label", `Groups of ${attribute().name}`);
    const focused = box.contains(document.activeElement) ? document.activeElement.dataset.group : null;
    box.replaceChildren(...rows().map((row) => {
      const name = `${attribute().groups[row.group]} (${row.n})`;
      const button = element("button", { type: "button", "aria-pressed": String(chosen.group === row.group), "data-group": row.group }, name);
      button.addEventListener("click", () => chooseGroup(row.group));
      return button;
    }));
    box.querySelector(`[data-group="${focused}"]`)?.focus();
  }

  function showTable() {
    if (cases === null) return;
    const shown = columns();
    const order = listed();
    const body = byId("explore-cases").tBodies[0];
    const few = table.all ? order : order.slice(0, SHOWN_FIRST);
    const focused = body.contains(document.activeElement) ? document.activeElement.dataset.case : null;
    body.replaceChildren(...few.map((i) => {
      const button = element("button", { type: "button", class: "case", "aria-pressed": String(chosen.case === i), "data-case": i }, cases.ids[i]);
      button.addEventListener("click", () => chooseCase(i));
      const cells = shown.slice(1).map((column) => element("td", column.left ? { class: "left" } : {}, column.text(i)));
      return element("tr", { class: chosen.case === i ? "chosen" : false }, element("th", { scope: "row" }, button), ...cells);
    }));
    body.querySelector(`[data-case="${focused}"]`)?.focus();
    const more = byId("explore-more");
    more.hidden = few.length === order.length;
    more.textContent = `Show all ${order.length} cases`;
    byId("explore-caption").textContent = `Cases that are chosen above${few.length < order.length ? `, the first ${few.length} of ${order.length}` : ""}. ${report.note}`;
  }

  function showHeadings() {
    if (cases === null) return;
    const line = element("tr", {});
    columns().forEach((column, position) => {
      const heading = element("th", { scope: "col", class: column.left ? "left" : false }, column.label);
      line.append(heading);
      sortButton(heading, (descending) => {
        Object.assign(table, { column: position, descending });
        showTable();
      });
    });
    byId("explore-cases").tHead.replaceChildren(line);
    if (table.column !== null) line.cells[table.column].setAttribute("aria-sort", table.descending ? "descending" : "ascending");
  }

  /** Marks the chosen group and case in the tables and pictures of the rest of the page. */
  function showElsewhere() {
    const name = chosen.group === null ? null : `${attribute().name}=${attribute().groups[chosen.group]}`;
    for (const [heading, group] of linked) {
      const row = heading.closest("tr");
      row.classList.toggle("chosen", group === name);
      heading.querySelector("button").setAttribute("aria-pressed", String(group === name));
    }
    for (const figure of document.querySelectorAll("figure[data-case]")) {
      const i = cases === null ? -1 : cases.ids.indexOf(figure.dataset.case);
      figure.classList.toggle("chosen", i >= 0 && (chosen.case === i || (chosen.case === null && narrowed() && isChosen(i))));
      figure.classList.toggle("other", i >= 0 && chosen.case === null && narrowed() && !isChosen(i));
    }
  }

  /** Makes the names of cases in the tables of the page buttons that choose them. */
  function linkCases() {
    if (cases === null) return;
    const numbers = new Map(cases.ids.map((id, i) => [id, i]));
    for (const heading of document.querySelectorAll("#cases tbody th[scope=row]")) {
      const text = heading.textContent;
      if (!numbers.has(text)) continue;
      const button = element("button", { type: "button", class: "case" }, text);
      button.addEventListener("click", () => {
        chooseCase(numbers.get(text));
        say(sentence());
      });
      heading.replaceChildren(button);
    }
  }
  linkCases();

  /** Makes the group's name in every table of the page a button that chooses it. */
  function linkTables() {
    const names = new Map();
    report.attributes.forEach((entry, a) => entry.groups.forEach((group, g) => names.set(`${entry.name}=${group}`, [a, g])));
    const headings = [...document.querySelectorAll("table:not(#explore-cases) tbody th[scope=row]")];
    return headings.flatMap((heading) => {
      const text = heading.textContent;
      if (!names.has(text)) return [];
      const button = element("button", { type: "button", class: "case", "aria-pressed": "false" }, text);
      button.addEventListener("click", () => {
        const [a, g] = names.get(text);
        const same = chosen.attribute === a && chosen.group === g;
        byId("explore-attribute").value = a;
        choose({ attribute: a, group: same ? null : g });
        showHeadings();
        say(sentence());
      });
      heading.replaceChildren(button);
      return [[heading, text]];
    });
  }
  const linked = linkTables();

  // ---------------------------------------------------------------- charts

  const drawn = (key) => cases.ids.map((_, i) => i).filter((i) => hasScore(i) && Number.isFinite(values(key)[i]));

  function marks(points, colour) {
    const single = chosen.case === null ? -1 : points.indexOf(chosen.case);
    const colourOf = (i) => {
      if (!report.changes) return colour.accent;
      const moved = values("difference")[i];
      return moved > 0 ? colour.accent : moved < 0 ? colour.warn : colour.soft;
    };
    const selected = single >= 0 ? [single] : narrowed() ? points.flatMap((i, at) => (isChosen(i) ? [at] : [])) : null;
    const size = points.length > 300 ? 5 : 7;
    return {
      customdata: points, text: points.map((i) => about(i).map(plain).join("<br>")), hoverinfo: "text",
      marker: { color: report.changes ? points.map(colourOf) : colour.accent, size, opacity: 0.65 },
      selectedpoints: selected, selected: { marker: { opacity: 0.95, size: size + 2 } }, unselected: { marker: { opacity: 0.12 } },
    };
  }

  function drawStrip(colour) {
    const groups = rows();
    const place = new Map(groups.map((row, at) => [row.group, groups.length - 1 - at]));
    const traces = [];
    let absent = 0;
    if (cases !== null) {
      const inGroups = cases.ids.map((_, i) => i).filter((i) => hasScore(i) && place.has(code(i)));
      const points = inGroups.filter((i) => Number.isFinite(values(metric().key)[i]));
      absent = inGroups.length - points.length;
      const jitter = (i) => ((i * 0.6180339887) % 1 - 0.5) * 0.6; // spreads neighbours, the same at every drawing
      traces.push({
        type: "scatter", mode: "markers", x: points.map((i) => values(metric().key)[i]), y: points.map((i) => place.get(code(i)) + jitter(i)),
        ...marks(points, colour),
      });
    }
    const means = groups.filter((row) => row.means[metric().key]);
    const of = (row) => row.means[metric().key];
    traces.push({
      type: "scatter", mode: "markers", x: means.map((row) => of(row)[0]), y: means.map((row) => place.get(row.group)), customdata: means.map((row) => -1 - row.group),
      marker: { color: means.map((row) => (row.decides ? colour.ink : colour.ground)), size: 10, symbol: "diamond", line: { color: colour.ink, width: 1.5 } },
      error_x: {
        type: "data", symmetric: false, color: colour.ink, thickness: 2, width: 5,
        array: means.map((row) => (of(row)[2] ?? of(row)[0]) - of(row)[0]), arrayminus: means.map((row) => of(row)[0] - (of(row)[1] ?? of(row)[0])),
      },
      hoverinfo: "text", text: means.map((row) => `${plain(attribute().groups[row.group])}: ${plain(row.n)} cases<br>mean ${numberText(of(row)[0], metric().digits, metric().signed)}`),
    });
    const y = {
      tickvals: groups.map((row) => place.get(row.group)), range: [-0.6, groups.length - 0.4],
      ticktext: groups.map((row) => `${plain(short(attribute().groups[row.group], 22))} (${row.n})`),
    };
    const whole = found().all.means[metric().key];
    const layout = chartLayout(colour, 90 + Math.max(44, Math.min(70, 420 / groups.length)) * groups.length, metricAxis(metric()), y);
    if (whole && whole[0] !== null) {
      layout.shapes = [{ type: "line", x0: whole[0], x1: whole[0], yref: "paper", y0: 0, y1: 1, line: { color: colour.soft, dash: "dash", width: 1 } }];
    }
    drawInto("explore-strip", traces, layout);
    const said = `${metric().label[0].toUpperCase()}${metric().label.slice(1)} by ${attribute().name}`;
    byId("explore-strip").setAttribute("aria-label", `${said}; the numbers are in the tables.`);
    byId("explore-strip-caption").textContent = `${said}. ${cases === null ? "" : "A point is a case; "}${means.length ? "a diamond is a group's mean with its interval, hollow for few cases; dashed: all cases." : "this metric has no intervals here."}${absent ? ` ${absent} cases have no finite value and are not drawn.` : ""}`;
  }

  function drawScatter(colour) {
    const figure = byId("explore-scatter-figure");
    figure.hidden = cases === null || report.scatter === null || !values(report.scatter.x.key);
    if (figure.hidden) return;
    const { x, diagonal } = report.scatter;
    const y = report.scatter.y || metric();
    const points = drawn(y.key).filter((i) => Number.isFinite(values(x.key)[i]) && values(x.key)[i] !== null && (!x.log || values(x.key)[i] > 0));
    const layout = chartLayout(colour, 380, { ...metricAxis(x), ...(x.log ? { type: "log", dtick: 1 } : {}) }, metricAxis(y));
    if (diagonal) layout.shapes = [{ type: "line", x0: 0, x1: 1, y0: 0, y1: 1, line: { color: colour.soft, dash: "dash", width: 1 } }];
    const trace = { type: "scatter", mode: "markers", x: points.map((i) => values(x.key)[i]), y: points.map((i) => values(y.key)[i]), ...marks(points, colour) };
    drawInto("explore-scatter", [trace], layout);
    byId("explore-scatter").setAttribute("aria-label", `${y.label} of every case against ${x.label}; the numbers are in the table of cases.`);
    byId("explore-scatter-caption").textContent = report.scatter.caption;
  }

  /** Draws a chart; a click on a group's mean chooses the group, one on a point the case. */
  function drawInto(id, traces, layout) {
    const chart = byId(id);
    const isNew = chart.on === undefined;
    Plotly.react(chart, traces, layout, CONFIG);
    if (!isNew) return;
    chart.on("plotly_click", (event) => {
      const which = event.points[0].customdata;
      if (which < 0) chooseGroup(-1 - which);
      else chooseCase(which);
    });
  }

  function draw() {
    if (Plotly === null) return;
    const colour = colours();
    drawStrip(colour);
    drawScatter(colour);
    byId("explore").dataset.drawn = String(Number(byId("explore").dataset.drawn || 0) + 1);
  }

  function show() {
    showGroups();
    showTable();
    showElsewhere();
    byId("explore-chosen").textContent = sentence();
    byId("explore-clear").disabled = !narrowed() && chosen.case === null;
    draw();
  }

  // ---------------------------------------------------------------- beginning

  function options(id, names, change) {
    const select = byId(id);
    select.replaceChildren(...names.map(([value, name]) => element("option", { value }, name)));
    select.addEventListener("change", () => {
      change(select.value);
      showHeadings();
    });
  }
  const numbered = (entries) => entries.map((entry, i) => [i, entry.label || entry.name]);
  options("explore-class", numbered(report.classes), (value) => choose({ class: Number(value) }));
  options("explore-attribute", numbered(report.attributes), (value) => choose({ attribute: Number(value), group: null }));
  options("explore-metric", numbered(report.metrics), (value) => choose({ metric: Number(value), case: chosen.case }));
  options("explore-change", [["all", "all"], ["rose", "rose"], ["fell", "fell"], ["same", "unchanged"]], (value) => choose({ change: value }));
  byId("explore-class-label").hidden = report.classes.length < 2;
  byId("explore-change-label").hidden = !report.changes || cases === null;
  byId("explore-text-label").hidden = byId("explore-table").hidden = cases === null;
  byId("explore-text").addEventListener("input", (event) => choose({ text: event.target.value.trim().toLowerCase() }));
  byId("explore-more").addEventListener("click", () => {
    table.all = true;
    showTable();
  });
  byId("explore-clear").addEventListener("click", () => {
    byId("explore-text").value = "";
    byId("explore-change").value = "all";
    choose({ group: null, case: null, change: "all", text: "" });
  });
  byId("explore").hidden = false;
  for (const link of document.querySelectorAll("nav [hidden]")) link.hidden = false;
  showHeadings();
  show();
  chartingLibrary().then((library) => {
    Plotly = library;
    draw();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  }).catch((error) => {
    byId("explore-strip-caption").textContent = `The charts cannot be drawn by this browser (${error.message}); the figures below hold the same numbers.`;
  });
}

if (byId("explore-data") !== null) {
  const report = JSON.parse(byId("explore-data").textContent);
  // JSON has no infinity: an infinite distance stands as "∞".
  for (const entry of report.classes) {
    for (const [key, values] of Object.entries(entry.values)) entry.values[key] = values.map((value) => (value === "∞" ? Infinity : value));
  }
  explore(report);
}
