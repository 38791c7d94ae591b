"use strict";
// Draws the boards that Python worked out (bench/report/web/page.py): picks, sorts and shows, and
// computes nothing. Names are data: they become text nodes, never markup.
(async () => {
  /** The object whose gzipped JSON a text is, in base64. */
  async function unpacked(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).json();
  }

  const DATA = await unpacked(document.getElementById("data").textContent);
  const ALL = "*"; // every data set, preset or device; scenarios: the summary
  const OWN = ""; // each method's own score; also the score of metrics of point predictions
  const PAPER = "vote_entropy"; // the score that the paper ranks inputs by
  const NONE = "–";
  const START = {
    data: DATA.boards.length ? DATA.boards[DATA.start].dataset : ALL, scenario: ALL,
    metric: "auroc", score: DATA.score, preset: ALL, device: ALL, find: "", sort: "rank", way: "",
  };
  const state = { ...START, open: null }; // open: {board, method, column}
  const form = document.getElementById("controls");
  const place = document.getElementById("boards");
  const status = document.getElementById("status");

  // Small tools

  /** An element with attributes and children; strings become text. */
  function element(name, attributes = {}, ...children) {
    const node = name.startsWith("svg:")
      ? document.createElementNS("http://www.w3.org/2000/svg", name.slice(4))
      : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (value !== undefined) node.setAttribute(key, value);
    }
    const wanted = (child) => child !== null && child !== undefined;
    node.append(...children.flat(Infinity).filter(wanted));
    return node;
  }

  const formats = new Map();
  /** An integer in units of the last digit, as it is printed; a dash for none. */
  function printed(value, digits) {
    if (value === null || value === undefined) return NONE;
    if (!formats.has(digits)) {
      const shown = { minimumFractionDigits: digits, maximumFractionDigits: digits };
      formats.set(digits, new Intl.NumberFormat("en-US", shown));
    }
    return formats.get(digits).format(value / 10 ** digits);
  }

  const unique = (values) => [...new Set(values)];
  const unseen = (text) => element("span", { class: "unseen" }, text);
  const inWords = (score) => (score === OWN ? "each method’s own score" : DATA.scores[score]);
  const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

  // What a table shows: columns {key, label, below, better, digits, mean, std, best, cells}

  const answered = (metric) => DATA.boards.every((board) => !board.sheets[metric]
    || Object.keys(board.sheets[metric]).join() === OWN);

  /** The numbers of the chosen metric and score on a board, or nothing. */
  function chosenSheet(board) {
    const sheets = board.sheets[state.metric] || {};
    return sheets[answered(state.metric) ? OWN : state.score];
  }

  function columnOf(board, sheet, id, label, below) {
    const at = sheet.columns.indexOf(id);
    if (at < 0) return null;
    const [, better, digits] = DATA.metrics[state.metric];
    const count = board.cells.length;
    const cells = id < count ? [id] : board.groups[id - count][2];
    return {
      key: `${id < count ? "cell" : "group"} ${label}`, label, below, better, digits, cells, sheet,
      scenario: board.cells[cells[0]][0],
      mean: sheet.mean[at], std: sheet.std[at], best: sheet.best[at],
    };
  }

  /** What a mean is over, in words. */
  function extentOf(board, cells) {
    const views = unique(cells.map((cell) => board.cells[cell][1]));
    if (cells.length === 1) return views[0];
    return views.length > 1 ? `${views.length} views` : `${cells.length} severities`;
  }

  function summaryColumns(board, sheet) {
    const found = sheet ? board.groups.map(([label, scenario, cells, kind], i) => {
      if (kind !== "summary") return null;
      return columnOf(board, sheet, board.cells.length + i, label, extentOf(board, cells));
    }) : [];
    const fixed = board.fixed.filter(({ mean }) => mean).map((column) => (
      { ...column, key: `fixed ${column.label}`, below: column.scenario || "training", cells: [] }
    ));
    return [...found.filter(Boolean), ...fixed];
  }

  function scenarioColumns(board, sheet, scenario) {
    if (board.measured[scenario]) return measuredColumns(board.measured[scenario]);
    if (!sheet) return [];
    const grouped = new Set();
    const found = board.groups.map(([label, of, cells, kind], i) => {
      if (of !== scenario || kind === "summary") return null;
      if (kind === "view") cells.forEach((cell) => grouped.add(cell));
      return columnOf(board, sheet, board.cells.length + i, label, extentOf(board, cells));
    });
    const single = board.cells.map(([of, view, severity, group], i) => (
      of === scenario && !grouped.has(i)
        ? columnOf(board, sheet, i, severity ? `${view} ${severity}` : view, group) : null
    ));
    return [...found, ...single].filter(Boolean);
  }

  /** Whether a label says already of which view it is. */
  const says = (label, view) => view.split(" ").every((word) => label.includes(word));

  function measuredColumns(sheet) {
    const views = unique(sheet.columns.map(([view]) => view)).length;
    return sheet.columns.map(([view, severity, metric, n, label, better, digits], i) => ({
      key: `${view} ${severity} ${metric}`, label, better, digits, cells: [], n,
      below: views > 1 && !says(label, view) ? [view, severity || ""].join(" ").trim() : "",
      mean: sheet.mean[i], std: sheet.std[i], best: sheet.best[i], low: sheet.low[i],
      high: sheet.high[i],
    }));
  }

  function columnsOf(board) {
    const sheet = chosenSheet(board);
    return state.scenario === ALL
      ? summaryColumns(board, sheet) : scenarioColumns(board, sheet, state.scenario);
  }

  function ranksOf(board) {
    const sheet = chosenSheet(board);
    if (!sheet || board.measured[state.scenario]) return undefined;
    return sheet.ranks[state.scenario === ALL ? "" : state.scenario];
  }

  // Sorting and filtering

  const escaped = (text) => text.replace(/[.+^${}()|[\]\\]/g, "\\$&");

  /** A test of names: "a, b" is either of two, "a b" has both words, "mc_*" is a whole name. */
  function search(text) {
    const lists = text.toLowerCase().split(",").map((part) => part.split(/\s+/).filter(Boolean));
    const wanted = lists.filter((words) => words.length).map((words) => words.map((word) => {
      if (!/[*?]/.test(word)) return (name) => name.includes(word);
      const pattern = escaped(word).replaceAll("*", ".*").replaceAll("?", ".");
      const glob = new RegExp(`^${pattern}$`);
      return (name) => glob.test(name);
    }));
    return (name) => !wanted.length
      || wanted.some((tests) => tests.every((test) => test(name.toLowerCase())));
  }

  /** Whether a method has any number in the columns: a scenario shows no others. */
  const measuredBy = (columns) => (i) => columns.some(({ mean, cells, sheet }) => (
    (mean && mean[i] !== null)
      || cells.some((id) => cellMean(sheet, id, i) !== null || sheet.partial[`${id},${i}`])
  ));

  /** Places of the methods that the search leaves, in the chosen order; without a number last. */
  function order(board, columns, ranks) {
    const name = (i) => board.methods[i].name;
    const matching = search(state.find);
    const shown = state.scenario === ALL ? () => true : measuredBy(columns);
    const found = board.methods.map((_, i) => i).filter((i) => matching(name(i)) && shown(i));
    const value = sortValue(board, columns, ranks);
    const sign = ascending(columns) ? 1 : -1;
    return found.sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === null && y === null) return name(a) < name(b) ? -1 : 1;
      if (x === null || y === null) return x === null ? 1 : -1;
      return sign * (typeof x === "string" ? x.localeCompare(y, "en") : x - y);
    });
  }

  function sortValue(board, columns, ranks) {
    const column = columns.find(({ key }) => key === state.sort);
    if (column) return (i) => (column.mean ? column.mean[i] : null);
    if (state.sort === "method") return (i) => board.methods[i].name;
    if (state.sort === "score") return (i) => scoreOf(board, i);
    if (state.sort === "tuned") return (i) => board.methods[i].tuned || NONE;
    const by = ranks || board.sheets[START.metric]?.[state.score]?.ranks[""];
    return (i) => (by && by.order.includes(i) ? by.order.indexOf(i) : null);
  }

  /** Whether small comes first: by choice, else so that the best does. */
  function ascending(columns) {
    if (state.way) return state.way === "ascending";
    const column = columns.find(({ key }) => key === state.sort);
    return column ? column.better !== "higher" && column.better !== "" : true;
  }

  const scoreOf = (board, i) => DATA.scores[board.methods[i].score] || NONE;
  const ownScores = (ranks) => state.score === OWN && !answered(state.metric)
    && (state.scenario === ALL || ranks);

  /** Whether records say how methods were tuned; those of one quantity have no room for it. */
  const saysTuned = (board, ranks) => ranks && board.methods.some(({ tuned }) => tuned);

  // Pictures

  function svg(width, height, kind, label, ...children) {
    const about = label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" };
    const box = { viewBox: `0 0 ${width} ${height}`, width, height, class: kind };
    return element("svg:svg", { ...box, ...about }, ...children);
  }

  const extent = (values) => [Math.min(...values), Math.max(...values)];
  const scale = ([low, high], from, to) => (value) => (
    from + ((to - from) * (value - low)) / (high - low || 1)
  );

  /** Means of a column by severity: [[severity, mean of the views], ...], or nothing. */
  function bySeverity(board, column, method) {
    const severities = unique(column.cells.map((cell) => board.cells[cell][2]));
    const views = unique(column.cells.map((cell) => board.cells[cell][1]));
    const whole = severities.length * views.length === column.cells.length;
    if (severities.length < 2 || !whole) return [];
    return severities.sort((a, b) => a - b).map((severity) => {
      const of = column.cells.filter((cell) => board.cells[cell][2] === severity);
      const means = of.map((cell) => cellMean(column.sheet, cell, method));
      const complete = means.every((mean) => mean !== null);
      return [severity, complete ? means.reduce((sum, mean) => sum + mean, 0) / means.length : null];
    });
  }

  function cellMean(sheet, cell, method) {
    const row = sheet.mean[sheet.columns.indexOf(cell)];
    return row ? row[method] : null;
  }

  /** A line over the severities; every method of a column has the same scale. */
  function sparkline(board, column, method) {
    const points = bySeverity(board, column, method);
    if (!points.length || points.some(([, mean]) => mean === null)) return null;
    column.extent ??= extent(board.methods.flatMap((_, i) => (
      bySeverity(board, column, i).map(([, mean]) => mean).filter((mean) => mean !== null)
    )));
    const x = scale([0, points.length - 1], 2, 40);
    const y = scale(column.extent, 13, 2);
    const path = points.map(([, mean], i) => (
      `${i ? "L" : "M"}${x(i).toFixed(1)} ${y(mean).toFixed(1)}`
    ));
    const words = points.map(([severity, mean]) => (
      `${severity}: ${printed(Math.round(mean), column.digits)}`
    ));
    return svg(42, 15, "spark", `by severity, ${words.join(", ")}`,
      element("svg:title", {}, words.join("\n")),
      element("svg:path", { class: "trace", d: path.join("") }),
      element("svg:circle", { class: "end", cx: 40, cy: y(points.at(-1)[1]).toFixed(1), r: 1.8 }));
  }

  /** A mean rank on the scale of all ranks, with its interval over families and seeds. */
  function rankSpan(ranks, method) {
    const x = scale([1, Math.max(ranks.methods, 2)], 4, 52);
    const mean = ranks.mean[method] / 100;
    const [low, high] = ranks.low
      ? [ranks.low[method] / 100, ranks.high[method] / 100] : [mean, mean];
    const words = ranks.low ? `95 % interval ${low.toFixed(2)} to ${high.toFixed(2)}` : "";
    return svg(56, 12, "span", words, words ? element("svg:title", {}, words) : null,
      element("svg:path", { class: "axis", d: "M4 6H52" }),
      element("svg:path", { class: "reach", d: `M${x(low).toFixed(1)} 6H${x(high).toFixed(1)}` }),
      element("svg:circle", { class: "spot", cx: x(mean).toFixed(1), cy: 6, r: 2.5 }));
  }

  /** Where a method stands among all: a tick for each, a dot for this one. */
  function standing(row, method) {
    const known = row.filter((value) => value !== null);
    if (row[method] === null || known.length < 2) return null;
    const x = scale(extent(known), 4, 96);
    const ticks = known.map((value) => `M${x(value).toFixed(1)} 3V11`).join("");
    return svg(100, 14, "standing", "",
      element("svg:path", { class: "axis", d: "M4 7H96" }),
      element("svg:path", { class: "others", d: ticks }),
      element("svg:circle", { class: "here", cx: x(row[method]).toFixed(1), cy: 7, r: 3.5 }));
  }

  // Tables

  const ARROWS = { higher: ["↑", "higher is better"], lower: ["↓", "lower is better"] };

  function heading(key, label, below, better, columns, words) {
    const sorted = state.sort === key;
    const rising = ascending(columns);
    const [arrow, meaning] = ARROWS[better] || ["", ""];
    const way = element("span", { class: "way", "aria-hidden": "true" },
      sorted ? (rising ? "▲" : "▼") : "");
    const name = [element("b", {}, label),
      arrow ? element("span", { "aria-hidden": "true" }, ` ${arrow}`) : null,
      meaning ? unseen(`, ${meaning}`) : null];
    const button = element("button", { type: "button", class: "sort", "data-sort": key,
      title: "Sort by this column" }, words ? [name, way] : [way, name],
      element("small", {}, below || "\u00a0"));
    return element("th", { scope: "col", class: words,
      "aria-sort": sorted ? (rising ? "ascending" : "descending") : undefined }, button);
  }

  function head(board, columns, ranks) {
    const below = ranks && ranks.low ? "95 % interval" : "";
    return element("thead", {}, element("tr", {},
      heading("method", "method", "", "", columns, "words name"),
      ranks ? heading("rank", "mean rank", below, "", columns, "words") : null,
      ownScores(ranks) ? heading("score", "score", "", "", columns, "words") : null,
      saysTuned(board, ranks) ? heading("tuned", "tuned by", "", "", columns, "words") : null,
      columns.map(({ key, label, below: under, better }) => (
        heading(key, label, under, better, columns)
      ))));
  }

  function figure(mean, std, digits, best, ends) {
    return element("span", { class: best ? "number best" : "number" }, printed(mean, digits),
      std === null || std === undefined ? null
        : element("span", { class: "spread" }, ` ± ${printed(std, digits)}`),
      ends ? element("span", { class: "spread interval" },
        ` [${printed(ends[0], digits)}, ${printed(ends[1], digits)}]`) : null);
  }

  /** Both ends of the interval of a method's number, where it has one. */
  function endsOf({ low, high }, method) {
    const ends = [low && low[method], high && high[method]];
    return ends.every((end) => end !== null && end !== undefined) ? ends : null;
  }

  function cell(board, column, method) {
    const mean = column.mean ? column.mean[method] : null;
    const best = column.best.includes(method);
    const inside = mean === null ? [lacking(board, column, method)]
      : [sparkline(board, column, method),
        figure(mean, column.std && column.std[method], column.digits, best,
          endsOf(column, method)),
        best ? unseen(" (best, or not distinguishable from it)") : null];
    return element("td", { class: "cell", "data-column": column.key }, inside);
  }

  /** A dash, and how much of a mean is there. */
  function lacking(board, column, method) {
    const whole = column.cells.filter((id) => cellMean(column.sheet, id, method) !== null).length;
    const parts = column.cells.some((id) => column.sheet.partial[`${id},${method}`]);
    if (!whole && !parts) return element("span", { class: "partial" }, NONE);
    return element("span", { class: "partial" }, column.cells.length > 1
      ? `${NONE} partial, ${whole} of ${column.cells.length}` : `${NONE} partial`);
  }

  function rankCell(ranks, method) {
    const mean = ranks.mean ? ranks.mean[method] : null;
    if (mean === null) {
      return element("td", { class: "words" }, element("span", { class: "partial" }, "not ranked"));
    }
    const best = ranks.best.includes(method);
    return element("td", { class: "words rank" }, figure(mean, null, 2, best),
      best ? unseen(" (best, or not distinguishable from it)") : null,
      rankSpan(ranks, method));
  }

  /** A name that may go on in the next line after ":" or "," and, on a phone, after "=". */
  const breakable = (name) => name.split(/(?<=[:,=])/).flatMap((part, i, parts) => (
    i ? [element("wbr", { class: parts[i - 1].endsWith("=") ? "narrow" : undefined }), part] : [part]
  ));

  function row(board, columns, ranks, method, id) {
    const about = board.methods[method];
    const open = state.open && state.open.board === board && state.open.method === method;
    const unranked = ranks && !(ranks.mean && ranks.mean[method] !== null);
    const button = element("button", { type: "button", class: "method", "data-method": method,
      "aria-expanded": String(Boolean(open)), "aria-controls": open ? id : undefined },
    breakable(about.name));
    return element("tr", {
      class: `row${open ? " open" : ""}${unranked ? " incomplete" : ""}`, "data-method": method,
    },
    element("th", { scope: "row", class: "words name" }, button),
    ranks ? rankCell(ranks, method) : null,
    ownScores(ranks) ? element("td", { class: "words own" }, scoreOf(board, method)) : null,
    saysTuned(board, ranks) ? element("td", { class: "words own" }, about.tuned || NONE) : null,
    columns.map((column) => cell(board, column, method)));
  }

  function table(board, at) {
    const [columns, ranks] = [columnsOf(board), ranksOf(board)];
    const title = `board-${at}`;
    const drawn = columns.length || state.scenario === ALL; // where all failed, the notes say why
    const found = order(board, columns, ranks);
    const rows = found.flatMap((method) => {
      const id = `detail-${at}-${method}`;
      const line = row(board, columns, ranks, method, id);
      const open = state.open && state.open.board === board && state.open.method === method;
      return open ? [line, detail(board, columns, method, id, line.children.length)] : [line];
    });
    const body = element("table", { class: "board", "aria-labelledby": title, "data-board": at },
      head(board, columns, ranks), element("tbody", {}, rows));
    return element("section", {},
      element("h2", { id: title }, board.dataset, " ",
        element("small", {}, `preset ${board.preset}; ${board.device}`)),
      board.advice && state.scenario === ALL ? advice(board.advice, at) : null,
      drawn ? element("div", { class: "scroll", tabindex: "0", role: "region",
        "aria-labelledby": title }, body)
        : element("p", { class: "note" }, "Nothing of this was measured here."),
      drawn ? notes(board, ranks) : null);
  }

  /** What one learns of a board, and the best for each shift. */
  function advice({ lessons, heads, lines, caption: how }, at) {
    const title = `advice-${at}`;
    const body = element("table", { class: "advice", "aria-labelledby": title },
      element("thead", {}, element("tr", {}, heads.map((text) => (
        element("th", { scope: "col", class: "words" }, element("b", {}, text)))))),
      element("tbody", {}, lines.map(([first, ...others]) => element("tr", {},
        element("th", { scope: "row", class: "words" }, first),
        others.map((text) => element("td", { class: "words" }, text))))));
    return element("details", { class: "advice", open: "" },
      element("summary", { id: title }, "What should I use?"),
      element("ul", {}, lessons.map((text) => element("li", {}, text))),
      element("div", { class: "scroll", tabindex: "0", role: "region", "aria-labelledby": title },
        body),
      element("p", { class: "note" }, how));
  }

  /** What stands under a table: what the numbers are, and what is not there. */
  function notes(board, ranks) {
    const partial = board.methods.flatMap(({ notes: lines }) => lines);
    const printedToo = ["metric", "score", "scenario"].every((key) => state[key] === START[key]);
    return element("div", { class: "note" },
      element("p", {}, printedToo ? board.caption : caption(board, ranks), ranks && ranks.low
        ? " Bars: 95 % interval of the mean rank over families and seeds drawn again." : ""),
      columnsOf(board).some(({ low }) => low)
        ? element("p", {}, "In brackets: 95 % interval, mean of the seeds’ ends.") : null,
      board.left_out.length && state.scenario === ALL
        ? element("ul", {}, board.left_out.map((line) => element("li", {}, line))) : null,
      partial.length ? element("details", {},
        element("summary", {}, `Partial: ${plural(partial.length, "method")}; no mean and no rank`),
        element("ul", {}, partial.map((line) => element("li", {}, line)))) : null);
  }

  function caption(board, ranks) {
    const by = answered(state.metric) ? "of each method’s point prediction"
      : `by ${inWords(state.score)}`;
    const text = ranks ? `${DATA.metrics[state.metric][0]} ${by}. ` : "";
    const difference = ranks && ranks.difference
      ? `, Nemenyi’s critical difference ${ranks.difference.toFixed(2)}` : "";
    const ranked = ranks && ranks.methods && ranks.cells
      ? `Rank: of ${ranks.methods} complete methods in ${ranks.cells} (view, severity) cells, mean`
        + ` within each of ${ranks.families} families, then over them${difference}.` : "";
    const seeds = Math.max(...Object.values(board.seeds).map((of) => of.length));
    const spread = seeds > 1
      ? `Mean ± standard deviation (ddof = 1) over ${seeds} seeds.` : "One seed.";
    const bold = seeds > 1 ? "what t-tests paired over the seeds do not tell from it (5 % of a"
      + " column’s found false)" : "nothing can be tested with one seed";
    return `${text}${spread} Bold: best, and ${bold}; never what is not better than chance. `
      + ranked;
  }

  // The views behind a method

  const STANDING = "among all methods, low to high";

  function detail(board, columns, method, id, width) {
    const about = board.methods[method];
    const column = columns.find(({ key }) => key === state.open.column);
    const shown = column && column.cells.length ? new Set(column.cells) : null;
    const close = element("button", { type: "button", class: "close" }, "Close");
    const top = element("div", { class: "top" }, element("div", {},
      element("p", {}, element("strong", {}, about.name), ` on ${board.dataset}`,
        shown ? `: ${column.label}, ` : ": ", shown
          ? element("button", { type: "button", class: "every" }, "show every view")
          : "every view"),
      about.params ? element("p", {}, about.params) : null,
      about.notes.map((line) => element("p", {}, `Partial. ${line}`))), close);
    const parts = [...detectedParts(board, method, shown), ...measuredParts(board, method, shown)]
      .sort((a, b) => (b.dataset.of === state.scenario) - (a.dataset.of === state.scenario));
    return element("tr", { class: "detail", id }, element("td", { colspan: width },
      element("div", { class: "inside" }, top, element("div", { class: "parts" }, parts))));
  }

  function detectedParts(board, method, shown) {
    const sheet = chosenSheet(board);
    if (!sheet) return [];
    return unique(board.cells.map(([scenario]) => scenario)).flatMap((scenario) => {
      const cells = board.cells.map((_, i) => i).filter((i) => (
        board.cells[i][0] === scenario && sheet.columns.includes(i) && (!shown || shown.has(i))
      ));
      return cells.length ? [viewsTable(board, sheet, scenario, cells, method)] : [];
    });
  }

  function viewsTable(board, sheet, scenario, cells, method) {
    const [label, better, digits] = DATA.metrics[state.metric];
    const graded = cells.some((i) => board.cells[i][2]);
    const seeds = board.seeds[scenario].length;
    const lines = cells.map((i, at) => {
      const [, view, severity, group, n] = board.cells[i];
      const row = sheet.columns.indexOf(i);
      const first = at === 0 || board.cells[cells[at - 1]][1] !== view;
      const column = { cells: cells.filter((j) => board.cells[j][1] === view), digits, sheet };
      return element("tr", {},
        element("th", { scope: "row", class: "words" }, group ? `${view} (${group})` : view,
          first && graded ? [" ", sparkline(board, column, method)] : null),
        graded
          ? element("td", {}, column.cells.length > 1 || severity ? String(severity) : "") : null,
        element("td", {}, valueOf(sheet, row, i, method, digits)),
        element("td", {}, seedsOf(sheet, row, i, method, seeds)),
        element("td", {}, n === null ? NONE : n.toLocaleString("en-US")),
        element("td", { class: "words" }, sheet.mean[row] && standing(sheet.mean[row], method)));
    });
    const names = ["view", graded ? "severity" : null, `${label} ${(ARROWS[better] || [""])[0]}`,
      "seeds", "inputs", STANDING];
    return partTable(board, scenario, method, names, lines);
  }

  /** Mean ± deviation of one cell; of a partial one its seeds, one by one. */
  function valueOf(sheet, row, id, method, digits) {
    const mean = sheet.mean[row] ? sheet.mean[row][method] : null;
    if (mean !== null) {
      const best = sheet.best[row].includes(method);
      return figure(mean, sheet.std[row] && sheet.std[row][method], digits, best);
    }
    const partial = sheet.partial[`${id},${method}`];
    return partial ? element("span", { class: "partial" }, partial.map(([seed, value]) => (
      `seed ${seed}: ${printed(value, digits)}`
    )).join(", ")) : NONE;
  }

  function seedsOf(sheet, row, id, method, seeds) {
    const partial = sheet.partial[`${id},${method}`];
    const whole = sheet.mean[row] && sheet.mean[row][method] !== null;
    const count = whole ? seeds : (partial || []).length;
    return count === seeds ? String(seeds) : `${count} of ${seeds}`;
  }

  function measuredParts(board, method, shown) {
    if (shown) return [];
    return Object.entries(board.measured).map(([scenario, sheet]) => {
      const lines = measuredColumns(sheet).map((column) => {
        const std = column.std && column.std[method];
        const mean = column.mean && column.mean[method];
        return element("tr", {},
          element("th", { scope: "row", class: "words" },
            `${column.label} ${column.below}`.trim(), ` ${(ARROWS[column.better] || [""])[0]}`),
          element("td", {}, figure(mean, std, column.digits, column.best.includes(method),
            endsOf(column, method))),
          element("td", { class: "words" }, column.mean && standing(column.mean, method)));
      });
      return partTable(board, scenario, method, ["metric", "value", STANDING], lines);
    });
  }

  const quoted = (word) => (/^[\w.,:=+/~-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

  /** The command that measures a scenario of one method again. */
  function command(board, scenario, method) {
    // the label of a data set that is not whole ends in its size, and a name has no dash
    const data = board.dataset.replace(/^([^:-]+)-[^:]*/, "$1");
    const options = { methods: board.methods[method].name, datasets: data, scenarios: scenario,
      seeds: board.seeds[scenario].join(","), preset: board.preset };
    const known = Object.entries(options).filter(([, value]) => value && value !== "unknown");
    const words = known.map(([name, value]) => `--${name} ${quoted(value)}`);
    return ["python -m bench run", ...words].join(" ");
  }

  /** The command that measures the cell of a row file anew and compares. */
  const check = (path) => (
    `python -m bench verify --cell ${quoted(path.replace(/^rows\/|\.json$/g, ""))}`);

  function partTable(board, scenario, method, names, lines) {
    const files = (board.files[method] || {})[scenario] || [];
    const links = files.map(([seed, path]) => [" ",
      element("a", { href: encodeURI(path), "aria-label": `rows of ${scenario}, seed ${seed}` },
        `seed ${seed}`)]);
    const words = new Set(["view", "metric", STANDING]);
    const heads = names.filter((name) => name !== null).map((name) => (
      element("th", { scope: "col", class: words.has(name) ? "words" : undefined }, name)
    ));
    const table = element("table", { class: "part" },
      element("caption", {}, scenario, links.length
        ? element("span", {}, " · row files:", links) : null),
      element("thead", {}, element("tr", {}, heads)), element("tbody", {}, lines));
    return element("div", { class: "frame", "data-of": scenario, tabindex: "0", role: "region",
      "aria-label": `${scenario} of ${board.methods[method].name}` }, table,
    element("p", { class: "again" }, "Measure again: ",
      element("code", {}, command(board, scenario, method))),
    files.length ? element("p", { class: "again" }, "Check a number: ",
      element("code", {}, check(files[0][1]))) : null);
  }

  // The page

  const matches = (board) => [["data", "dataset"], ["preset", "preset"], ["device", "device"]]
    .every(([key, field]) => state[key] === ALL || state[key] === board[field]);

  function draw() {
    const focus = focusKey();
    const boards = DATA.boards.map((board, i) => [board, i]).filter(([board]) => matches(board));
    const every = state.data === ALL && state.scenario === ALL ? overall() : null;
    const sections = [every, ...boards.map(([board, i]) => table(board, i))];
    place.replaceChildren(...sections.filter(Boolean));
    fit();
    fillControls();
    status.textContent = sentence(boards.map(([board]) => board));
    if (focus) document.querySelector(focus)?.focus({ preventScroll: true });
    remember();
  }

  /** The mean over all data sets, of the methods that every one of them ranks. */
  function overall() {
    const matching = search(state.find);
    const lines = (DATA.overall[state.score || "own"] || []).filter(([name]) => matching(name));
    if (!lines.length || state.metric !== START.metric) return null;
    const heads = [["words", "method"], ["", "mean place"], ["", "data sets"]];
    return element("section", {},
      element("h2", { id: "overall" }, "Mean over data sets"),
      element("div", { class: "scroll", tabindex: "0", role: "region",
        "aria-labelledby": "overall" },
      element("table", { class: "overall", "aria-labelledby": "overall" },
        element("thead", {}, element("tr", {}, heads.map(([words, text]) => (
          element("th", { scope: "col", class: words }, element("b", {}, text)))))),
        element("tbody", {}, lines.map(([name, at, boards]) => element("tr", {},
          element("th", { scope: "row", class: "words" }, breakable(name)),
          element("td", {}, printed(at, 3)), element("td", {}, String(boards))))))),
      element("div", { class: "note" }, element("p", {}, `AUROC by ${inWords(state.score)}. `
        + "Place on a data set: 0 is the best mean rank that it could give and 1 the worst; "
        + "only methods that every data set ranks.")));
  }

  /** A table wider than the page scrolls in its own frame, any other with the page. */
  function fit() {
    const frames = [...place.querySelectorAll(".scroll")];
    frames.forEach((frame) => frame.classList.remove("wide"));
    const wide = frames.filter((frame) => frame.scrollWidth > frame.clientWidth + 1);
    wide.forEach((frame) => frame.classList.add("wide"));
  }

  /** How to find what had the focus once it is drawn again. */
  function focusKey() {
    const node = document.activeElement;
    const board = node?.closest?.("[data-board]");
    if (!board) return "";
    const scope = `[data-board="${board.dataset.board}"] `;
    if (node.dataset.sort) return `${scope}[data-sort="${CSS.escape(node.dataset.sort)}"]`;
    const line = node.closest(".detail")?.previousElementSibling || node.closest(".row");
    return line ? `${scope}button[data-method="${line.dataset.method}"]` : "";
  }

  function sentence(boards) {
    if (!boards.length) return "No results match; choose another data set, preset or device.";
    const shown = place.querySelectorAll("tr.row").length;
    const all = boards.reduce((sum, board) => sum + board.methods.length, 0);
    const columns = boards.flatMap(columnsOf);
    const sorted = columns.find(({ key }) => key === state.sort);
    const by = sorted ? sorted.label : { method: "method", score: "score", tuned: "tuned by" }[state.sort]
      || (boards.some(ranksOf) ? "mean rank" : "");
    const how = by ? `sorted by ${by}, ${ascending(columns) ? "ascending" : "descending"}`
      : "in the order of their mean ranks";
    const count = shown === all ? plural(all, "method") : `${shown} of ${plural(all, "method")}`;
    const hidden = state.scenario === ALL || shown === all ? "" : " The others have no number here.";
    const on = boards.length === 1 ? boards[0].dataset : plural(boards.length, "board");
    const ranked = shown === all ? "" : " Ranks are among all.";
    return `${count} on ${on}, ${how}.${state.find ? ranked : hidden}`;
  }

  function fill(name, options) {
    const select = form.elements[name];
    select.replaceChildren(...options.map(([value, label]) => (
      element("option", { value, selected: value === state[name] ? "" : undefined }, label)
    )));
    select.value = state[name];
  }

  function fillControls() {
    const boards = DATA.boards.filter(matches);
    const some = (field, label) => [
      [ALL, label],
      ...unique(DATA.boards.map((board) => board[field])).map((value) => [value, value]),
    ];
    const scenarios = unique(boards.flatMap((board) => Object.keys(board.seeds))).sort();
    const measured = boards.length > 0 && boards.every((board) => board.measured[state.scenario]);
    fill("data", [...some("dataset").slice(1), [ALL, "all, and their mean"]]);
    fill("preset", some("preset", "all presets"));
    fill("device", some("device", "all devices"));
    const named = scenarios.map((value) => [value, value.replaceAll("_", " ")]);
    fill("scenario", [[ALL, "summary of all"], ...named]);
    fill("metric", Object.entries(DATA.metrics).filter(([name]) => (
      DATA.boards.some((board) => board.sheets[name])
    )).map(([name, [label, better]]) => [name, `${label} ${ARROWS[better][0]}`]));
    fill("score", scores());
    form.elements.metric.disabled = measured;
    form.elements.score.disabled = measured || answered(state.metric);
    if (document.activeElement !== form.elements.find) form.elements.find.value = state.find;
  }

  /** Scores as options: the one that the page starts with, the paper's, each method's own, others. */
  function scores() {
    const words = { ...DATA.scores, [OWN]: "each method’s own" };
    if (words[PAPER]) words[PAPER] += " (the paper’s)";
    const first = [START.score, PAPER, OWN].filter((name) => Object.hasOwn(words, name));
    return unique([...first, ...Object.keys(DATA.scores)]).map((name) => [name, words[name]]);
  }

  // The address remembers the choice, so that a view can be bookmarked

  function remember() {
    const changed = Object.keys(START).filter((key) => state[key] !== START[key]);
    const words = new URLSearchParams(changed.map((key) => [key, state[key]])).toString();
    history.replaceState(null, "", words ? `#${words}` : location.pathname);
  }

  function recall() {
    for (const [key, value] of new URLSearchParams(location.hash.slice(1))) {
      if (Object.hasOwn(START, key)) state[key] = value;
    }
    if (!DATA.metrics[state.metric]) state.metric = START.metric;
    if (state.score !== OWN && !Object.hasOwn(DATA.scores, state.score)) state.score = START.score;
  }

  function choose(change) {
    Object.assign(state, change, { open: null });
    draw();
  }

  function sortBy(key) {
    const again = state.sort === key;
    const rising = ascending(DATA.boards.filter(matches).flatMap(columnsOf));
    const other = rising ? "descending" : "ascending";
    Object.assign(state, { sort: key, way: again ? other : "" });
    draw();
  }

  function toggle(node, column) {
    const board = DATA.boards[Number(node.closest("[data-board]").dataset.board)];
    const method = Number(node.closest("[data-method]").dataset.method);
    const same = state.open && state.open.board === board && state.open.method === method
      && state.open.column === column;
    state.open = same ? null : { board, method, column };
    draw();
  }

  place.addEventListener("click", (event) => {
    const at = (selector) => event.target.closest(selector);
    if (at(".sort")) sortBy(at(".sort").dataset.sort);
    else if (at(".method")) toggle(at(".method"), state.open ? state.open.column : "");
    else if (at(".every")) { state.open.column = ""; draw(); }
    else if (at(".close")) { state.open = null; draw(); }
    else if (at("td.cell")) toggle(at("td.cell"), at("td.cell").dataset.column);
  });
  place.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && state.open) { state.open = null; draw(); }
  });
  window.addEventListener("resize", fit);
  form.addEventListener("input", (event) => {
    const { name, value } = event.target;
    choose(name === "find" ? { find: value } : { [name]: value });
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", (event) => { event.preventDefault(); choose(START); });

  // Light and dark

  const theme = document.getElementById("theme");
  const THEMES = { "": "light", light: "dark", dark: "" };
  const stored = () => { try { return localStorage.getItem("theme") || ""; } catch { return ""; } };
  function paint(name) {
    if (name) document.documentElement.dataset.theme = name;
    else delete document.documentElement.dataset.theme;
    theme.textContent = `Theme: ${name || "automatic"}`;
  }
  theme.addEventListener("click", () => {
    const next = THEMES[document.documentElement.dataset.theme || ""];
    try { localStorage.setItem("theme", next); } catch { /* private windows have no memory */ }
    paint(next);
  });

  paint(Object.hasOwn(THEMES, stored()) ? stored() : "");
  recall();
  theme.hidden = form.hidden = false;
  draw();
})().catch((error) => {
  const message = `This browser cannot draw the page (${error.message}). README.md has the tables.`;
  document.getElementById("status").textContent = message;
  console.error(error);
});
