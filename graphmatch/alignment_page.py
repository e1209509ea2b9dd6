"""The frame of `alignment_html`'s page: `@@NAME@@` is replaced by content."""

from __future__ import annotations

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>@@TITLE@@</title>
<style>
body { font-family: "DejaVu Sans", Verdana, sans-serif; margin: 1.5em; color: #1b1f23 }
h1 { font-size: 1.2em } h2 { font-size: 1em; margin-top: 2em }
figure { margin: 0 0 1em; overflow-x: auto }
button.node { font: inherit; border: 1px solid #d0d5da; border-bottom-width: 4px; margin: 2px 0;
  padding: 2px 6px; border-radius: 3px; cursor: pointer; color: inherit }
button.node small { display: block; color: #5c6570 }
button.node.lit, tr.lit > th, tr.lit > td:first-child { outline: 2px solid #d1007a }
button.node.kept { outline: 3px solid #1b1f23 }
table { border-collapse: collapse; font-size: 0.85em }
th { text-align: left; font-weight: normal }
td, th { padding: 2px 8px } td + td { text-align: right } td:nth-child(2) { text-align: left }
table.map td { width: 2em; text-align: center; padding: 3px; border: 1px solid #eef1f4 }
table.map th.column { vertical-align: bottom; padding: 2px }
table.map th.column span { writing-mode: vertical-rl; transform: rotate(180deg) }
table.map .lit { outline: 2px solid #d1007a }
svg .dim { opacity: 0.2 }
p.note { color: #5c6570; font-size: 0.85em }
</style>
</head>
<body>
<h1>@@TITLE@@</h1>
<figure>
@@PICTURE@@
</figure>
<p class="caption">
@@CAPTION@@
</p>
<p class="note">Under each word what it gives to the score, blue above 0, red below. Point at a word
to see what it attends to, click it to keep it; point at a region to see which words match it.</p>
<h2>Nodes of the caption</h2>
<table class="nodes">
@@TABLE@@
</table>
@@MAPS@@
<script type="application/json" id="data">@@DATA@@</script>
<script>
const data = JSON.parse(document.getElementById("data").textContent);
const all = query => [...document.querySelectorAll(query)];
const boxes = data.video ? [] : all("svg g.box[data-nodes] rect").map(rect => ({
  rect, region: Number(rect.parentNode.dataset.nodes),
  first: ["stroke", "stroke-width", "stroke-opacity"].map(name => [name, rect.getAttribute(name)]),
}));
let kept = data.chosen;
function clear() {
  for (const item of all(".lit, .dim")) item.classList.remove("lit", "dim");
  for (const {rect, first} of boxes)
    for (const [name, value] of first)
      value === null ? rect.removeAttribute(name) : rect.setAttribute(name, value);
}
function showNode(node) {
  clear();
  if (node < 0) return;
  for (const item of all(`[data-node="${node}"]`)) item.classList.add("lit");
  if (data.video)
    for (const shape of all("svg [data-nodes]"))
      shape.classList.toggle("dim", Number(shape.dataset.nodes) !== node);
  const weights = data.attention[node];
  const most = Math.max(...weights) || 1;
  for (const {rect, region} of boxes) {
    const strength = Math.sqrt(weights[region]), share = (weights[region] / most) ** 3;
    rect.setAttribute("stroke", data.colours[node]);
    rect.setAttribute("stroke-width", 1 + 6 * strength);
    rect.setAttribute("stroke-opacity", share < 0.05 ? 0 : share);
  }
}
function showRegion(region) {
  clear();
  for (const item of all(`th[data-region="${region}"]`)) item.classList.add("lit");
  const weights = data.regionAttention[region];
  const most = Math.max(...weights);
  weights.forEach((weight, node) => {
    if (weight >= 0.5 * most)
      for (const item of all(`button[data-node="${node}"]`)) item.classList.add("lit");
  });
  for (const box of boxes) {
    box.rect.setAttribute("stroke-opacity", box.region === region ? 1 : 0.1);
    if (box.region === region) box.rect.setAttribute("stroke-width", 4);
  }
}
function on(items, name, show) {
  for (const item of items) {
    item.addEventListener("mouseenter", () => show(Number(item.dataset[name])));
    item.addEventListener("mouseleave", () => showNode(kept));
  }
}
on(all("button[data-node], tr[data-node]"), "node", showNode);
on(all("th[data-region]"), "region", showRegion);
if (data.video) on(all("svg [data-nodes]"), "nodes", showNode);
else on(all("svg g.box[data-nodes]"), "nodes", showRegion);
for (const button of all("button[data-node]"))
  button.addEventListener("click", () => {
    const node = Number(button.dataset.node);
    kept = kept === node ? -1 : node;
    for (const other of all("button[data-node]"))
      other.classList.toggle("kept", Number(other.dataset.node) === kept);
    showNode(kept);
  });
showNode(kept);
</script>
</body>
</html>
"""
"""Names: TITLE, PICTURE, CAPTION, TABLE, MAPS, DATA."""
