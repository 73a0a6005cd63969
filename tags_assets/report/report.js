"use strict";
(async () => {
  const $ = (id) => document.getElementById(id);
  const said = (text) => { for (const box of document.querySelectorAll(".needs-script")) box.textContent = text; };

  // ---- what the page carries: gzip in base64, because that is safe inside HTML and a fifth of the size ----
  async function unpacked(id) {
    const packed = $(id).textContent;
    const bytes = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  }
  if (typeof DecompressionStream === "undefined") {
    said("This browser is too old to draw the plots (it lacks DecompressionStream). All figures are in the tables.");
    return;
  }
  const [library, packed] = await Promise.all([unpacked("plotly"), unpacked("data")]);
  const data = JSON.parse(packed);
  const script = document.createElement("script");
  script.textContent = library;
  document.head.append(script);
  if (typeof Plotly === "undefined") { said("The plotting library did not load. All figures are in the tables."); return; }
  said("");

  const config = { displayModeBar: false, responsive: true, showTips: false };
  const narrow = window.innerWidth < 640;
  const family = getComputedStyle(document.body).fontFamily;

  // ---- plots ----
  const drawn = [];
  for (const [id, chart] of Object.entries(data.charts)) {
    const box = $(id);
    if (!box) continue;
    chart.layout.font.family = family;
    for (const [key, value] of narrow ? Object.entries(chart.narrow || {}) : []) {
      const [axis, name] = key.split(".");
      chart.layout[axis][name] = value;
    }
    drawn.push(Plotly.newPlot(box, chart.data, chart.layout, config));
  }

  // ---- the tree ----
  const tree = data.tree, box = $("treemap");
  const whole = new Intl.NumberFormat("en"), inRows = (x) => whole.format(Math.round(x));
  const share = (x) => x == null ? "–" : x > 0 && x < 0.0005 ? "under 0.1%" : (100 * x).toFixed(x < 0.1 ? 2 : 1) + "%";
  const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const short = (text, n) => text.length > n ? text.slice(0, n - 1) + "…" : text;
  // A box is filled best by a label of several short lines; in the bar above a box the label has one.
  function wrapped(text) {
    const lines = [""];
    for (const word of text.split(" ")) {
      const last = lines[lines.length - 1];
      if (last && last.length + word.length > 15) lines.push(word);
      else lines[lines.length - 1] = last ? last + " " + word : word;
    }
    return lines.map(escaped).join("<br>");
  }
  const times = (log2) => {
    if (log2 == null) return "";
    const r = 2 ** log2;
    return "×" + (r >= 10 ? r.toFixed(0) : r >= 0.95 ? r.toFixed(1) : r.toFixed(2));
  };
  function path(i) {
    const steps = [];
    for (let j = i; tree.parent[j] >= 0; j = tree.parent[j]) steps.unshift(tree.name[j]);
    return steps.length ? steps.join(" › ") : tree.name[i];
  }
  const n = tree.id.length, poolAll = tree.pool[0] || 1, pickedAll = tree.selection[0] || 1;
  const hasTarget = tree.target[0] != null;
  let against = hasTarget ? "target" : "pool";
  const ids = tree.id.map((_, i) => String(i));
  const byMode = {};
  function colours(mode) {
    if (!byMode[mode]) {
      const values = mode === "target" ? tree.by_target : tree.by_pool;
      byMode[mode] = {
        values: values.map((v) => Math.max(-3, Math.min(3, v))), text: values.map(times),
        ink: values.map((v) => Math.abs(v) > 2.4 ? "#ffffff" : "#23282e"),
      };
    }
    return byMode[mode];
  }
  function told(i) {
    const lines = [`${inRows(tree.pool[i])} of ${inRows(poolAll)} rows of the pool (${share(tree.pool[i] / poolAll)})`,
      `${inRows(tree.selection[i])} of ${inRows(pickedAll)} selected rows (${share(tree.selection[i] / pickedAll)})`];
    if (hasTarget) lines.push(`target share ${share(tree.target[i])}`);
    return lines;
  }
  function describe(i) {
    const panel = $("concept");
    panel.replaceChildren();
    const add = (text, name) => { const p = document.createElement("p"); p.textContent = text; if (name) p.className = name; panel.append(p); };
    add(path(i), "name");
    if (tree.about[i]) add(tree.about[i], "small");
    if (tree.parent[i] < 0) {
      add(`${inRows(poolAll)} rows in the pool, ${inRows(pickedAll)} selected. Click a box to see its contents.`);
      panel.dataset.concept = tree.id[i];
      return;
    }
    add(told(i).join("; ") + ".");
    const ratios = [`${times(tree.by_pool[i])} its share of the pool`];
    if (hasTarget) ratios.push(`${times(tree.by_target[i])} its share of the target`);
    add("In the selection it has " + ratios.join(" and ") + ".");
    panel.dataset.concept = tree.id[i];
  }
  let level = "0";
  function draw() {
    const colour = colours(against);
    const trace = {
      type: "treemap", branchvalues: "total", ids, level, maxdepth: narrow ? 2 : 3,
      labels: tree.name.map((name) => escaped(short(name, 40))),
      parents: tree.parent.map((p) => p < 0 ? "" : String(p)), values: tree.size,
      text: tree.name.map((name, i) => wrapped(short(name, 48)) + "<br>" + colour.text[i]),
      customdata: tree.id.map((_, i) => escaped(short(path(i), 90)) + "<br>" + told(i).join("<br>")),
      texttemplate: "%{text}", textfont: { color: colour.ink }, hovertemplate: "%{customdata}<extra></extra>",
      marker: { colors: colour.values, colorscale: data.colours, cmin: -3, cmax: 3, cmid: 0, line: { width: 1, color: "#ffffff" }, pad: { t: 22, l: 3, r: 3, b: 3 } },
      pathbar: { thickness: 26, textfont: { size: 13 } }, tiling: { packing: "squarify", pad: 2 },
      sort: true, root: { color: "#f6f7f8" },
    };
    const layout = { uniformtext: { minsize: narrow ? 9 : 10, mode: "hide" }, margin: { l: 0, r: 0, t: 28, b: 0 }, paper_bgcolor: "rgba(0,0,0,0)", font: { family, size: 13 },
      hoverlabel: { bgcolor: "#fff", bordercolor: "#c9ced4", font: { color: "#23282e" }, align: "left" } };
    return Plotly.react(box, [trace], layout, config);
  }
  await draw();
  describe(0);
  box.on("plotly_treemapclick", (event) => {
    const point = event.points && event.points[0];
    if (!point) return;
    const next = event.nextLevel === undefined ? level : event.nextLevel || "0";
    level = String(next);
    describe(Number(point.id));
  });
  function goto(i) {
    // A leaf alone would fill the map: show it among its siblings.
    const isParent = tree.parent.includes(i);
    level = String(isParent || tree.parent[i] < 0 ? i : tree.parent[i]);
    describe(i);
    return draw();
  }
  for (const input of document.querySelectorAll("input[name=against]")) {
    input.addEventListener("change", () => { against = input.value; box.dataset.against = against; draw(); });
  }
  box.dataset.against = against;

  // ---- search among the concepts ----
  const search = $("search"), hits = $("hits");
  const folded = tree.name.map((name) => name.toLocaleLowerCase());
  function look() {
    hits.replaceChildren();
    const wanted = search.value.trim().toLocaleLowerCase();
    if (!wanted) return;
    const found = [];
    for (let i = 0; i < n; i++) {
      const at = folded[i].indexOf(wanted);
      if (at >= 0 && !tree.id[i].endsWith("/rest")) found.push([folded[i] === wanted ? 0 : at === 0 ? 1 : 2, -tree.pool[i], i]);
    }
    found.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    for (const [, , i] of found.slice(0, 12)) {
      const item = document.createElement("li"), button = document.createElement("button"), where = document.createElement("small");
      button.type = "button";
      button.textContent = tree.name[i];
      where.textContent = `${path(i)} · ${inRows(tree.pool[i])} rows, ${inRows(tree.selection[i])} selected`;
      button.append(where);
      button.addEventListener("click", () => { hits.replaceChildren(); search.value = tree.name[i]; goto(i); });
      item.append(button);
      hits.append(item);
    }
    if (!found.length) {
      const item = document.createElement("li");
      item.className = "none";
      item.textContent = "No concept name contains this.";
      hits.append(item);
    }
  }
  search.addEventListener("input", look);
  search.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { hits.replaceChildren(); search.value = ""; }
    if (event.key === "Enter" && hits.querySelector("button")) { event.preventDefault(); hits.querySelector("button").click(); }
    if (event.key === "ArrowDown" && hits.querySelector("button")) { event.preventDefault(); hits.querySelector("button").focus(); }
  });
  hits.addEventListener("keydown", (event) => {
    const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = event.target.closest("li")[step];
    (next ? next.querySelector("button") : search).focus();
  });
  document.addEventListener("click", (event) => { if (!event.target.closest(".find")) hits.replaceChildren(); });
  $("top").addEventListener("click", () => { search.value = ""; goto(0); });

  // ---- the selected rows: a filter and "show more" ----
  const filter = $("filter"), cards = [...document.querySelectorAll("#rows .row")], more = $("more"), count = $("count");
  if (filter) {
    let most = 20;
    const texts = cards.map((card) => card.textContent.toLocaleLowerCase());
    const show = () => {
      const words = filter.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
      let matching = 0;
      cards.forEach((card, i) => {
        const fits = words.every((word) => texts[i].includes(word));
        if (fits) matching++;
        card.hidden = !fits || matching > most;
      });
      more.hidden = matching <= most;
      count.textContent = words.length ? `${matching} of these ${cards.length} rows` : "";
    };
    filter.addEventListener("input", () => { most = 20; show(); });
    more.addEventListener("click", () => { most += 40; show(); });
    show();
  }

  // ---- paper ----
  const fit = () => { for (const plot of document.querySelectorAll(".js-plotly-plot")) Plotly.Plots.resize(plot); };
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open]):not(.example)")];
    for (const one of opened) one.open = true;
    fit();
  });
  window.addEventListener("afterprint", () => { for (const one of opened) one.open = false; fit(); });
  await Promise.all(drawn);
  document.documentElement.dataset.ready = "yes";
})();
