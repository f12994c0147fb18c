// The page's own script. Names and details are read from the titles and shown as text nodes, never as markup.
(function () {
"use strict";
var root = document.currentScript.parentNode, NS = "http://www.w3.org/2000/svg";
var pick = function (s) { return root.querySelector(s); }, data = function (n) { return +root.getAttribute("data-" + n); };
var frames = pick(".frames"), info = pick(".info"), note = pick(".note"), tip = pick(".tip"), axis = pick(".axis"), ui = pick(".ui");
var input = pick(".bar input"), reset = pick(".bar button"), output = pick(".bar output");
var MARGIN = 10, chart = root.getAttribute("data-kind") === "chart", fluid = data("fluid") === 1;
var cell = data("cell"), row = data("row"), body = data("body"), foot = data("foot");
var all = [], from = 0, to = 100, past = [], current = null, pattern = null, width = 0, timer = 0;

function create(name, parent) {
	return parent.appendChild(document.createElementNS(NS, name));
}

// --- what there is -------------------------------------------------------------------------------------------
Array.prototype.forEach.call(frames.querySelectorAll("g:not(.axis)"), function (g, i) {
	var rect = g.querySelector("rect"), title = g.querySelector("title"), words = title.textContent;
	var cut = words.lastIndexOf("\n");
	g.removeChild(title); // else the browser shows it beside ours
	g.setAttribute("data-i", i);
	all.push({
		g: g, rect: rect, text: g.querySelector("text"), name: words.slice(0, cut), info: words.slice(cut + 1),
		x: parseFloat(rect.getAttribute("x")), w: parseFloat(rect.getAttribute("width")), y: +rect.getAttribute("y"),
		seen: true, label: null
	});
});

// --- drawing -------------------------------------------------------------------------------------------------
function cells(s, room) { // how much of s fits; wide characters take two
	var i = 0, c, wide;
	while (i < s.length) {
		c = s.codePointAt(i);
		wide = c >= 0x1100 ? 2 : 1;
		if (wide > room) break;
		room -= wide;
		i += c > 0xffff ? 2 : 1;
	}
	return i;
}

function fit(s, px) {
	var room = Math.floor(px / cell);
	if (room < 3) return "";
	return cells(s, room) >= s.length ? s : s.slice(0, cells(s, room - 2)) + "..";
}

function draw() {
	var inner = width - 2 * MARGIN, k = 100 / (to - from), eps = (to - from) * 1e-7, i, f, a, b, px, label;
	for (i = 0; i < all.length; i++) {
		f = all[i];
		a = Math.max(f.x, from);
		b = Math.min(f.x + f.w, to);
		px = (b - a) * k * inner / 100;
		if (!(b - a > eps) || px < 0.05) {
			if (f.seen) f.g.style.display = "none";
			f.seen = false;
			continue;
		}
		if (!f.seen) f.g.style.display = "";
		f.seen = true;
		f.rect.setAttribute("x", (a - from) * k + "%");
		f.rect.setAttribute("width", (b - a) * k + "%");
		f.g.classList.toggle("up", !chart && (f.x < from - eps || f.x + f.w > to + eps));
		label = fit(f.name, px - 6);
		if (label && !f.text) {
			f.text = create("text", f.g);
			f.text.setAttribute("dx", 3);
			f.text.setAttribute("y", f.y + (row - 1) / 2 + cell / 0.602 * 0.35);
		}
		if (f.text) {
			f.text.setAttribute("x", (a - from) * k + "%");
			if (f.label !== label) f.text.textContent = label;
			f.label = label;
		}
	}
	if (axis) ticks();
	reset.disabled = from === 0 && to === 100 && !pattern;
}

function amount(v) {
	var units = [[3600e9, "h"], [60e9, "min"], [1e9, "s"], [1e6, "ms"], [1e3, "us"], [1, "ns"]], i = 0;
	if (!axis.getAttribute("data-unit")) return String(Math.round(v));
	if (axis.getAttribute("data-unit") === "us") v *= 1e3;
	while (i < 5 && v < units[i][0] * (i < 2 ? 2 : 1)) i++;
	v /= units[i][0];
	return (i === 5 || v >= 100 ? Math.round(v) : v.toPrecision(3)) + " " + units[i][1];
}

function ticks() {
	var list = axis.querySelectorAll("text"), total = +axis.getAttribute("data-total"), i, part;
	for (i = 0; i < list.length; i++) {
		part = from + (to - from) * i / list.length;
		list[i].textContent = amount(total * part / 100);
		list[i].style.display = width < 500 && i % 2 ? "none" : "";
	}
}

function layout() {
	var head = data("head"), bar = 0, height, w;
	w = fluid ? (root.parentNode === document ? window.innerWidth : root.getBoundingClientRect().width) : root.width.baseVal.value;
	if (root.parentNode === document && fluid && document.documentElement.clientWidth) w = document.documentElement.clientWidth;
	width = Math.max(w, 200);
	if (width < 760) bar = 38; // the controls get a row of their own
	ui.setAttribute("y", bar ? 50 : 6);
	ui.setAttribute("width", width);
	ui.firstChild.style.justifyContent = bar ? "flex-start" : "";
	height = head + bar + body + foot;
	if (fluid && root.parentNode === document) height = Math.max(height, window.innerHeight);
	root.setAttribute("height", height);
	frames.setAttribute("y", head + bar);
	frames.setAttribute("width", width - 2 * MARGIN);
	info.setAttribute("y", head + bar + body + 16);
	note.setAttribute("y", head + bar + body + 32);
	[".title", ".sub"].forEach(function (s) {
		var t = pick(s);
		if (!t.full) t.full = t.textContent;
		t.textContent = fit(t.full, (width - 2 * MARGIN - (bar ? 0 : 440)) * (s === ".title" ? 0.68 : 1));
	});
	draw();
}

// --- search --------------------------------------------------------------------------------------------------
function compile(s) {
	if (!s) return null;
	try {
		return new RegExp(s, "i");
	} catch (e) {
		return new RegExp(s.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "i");
	}
}

// The share of the root's width under frames that match, each part counted once.
function search(s) {
	var reach = -1, sum = 0, any = 0, i, f, hit;
	pattern = compile(s);
	for (i = 0; i < all.length; i++) {
		f = all[i];
		hit = !!pattern && pattern.test(f.name);
		f.rect.classList.toggle("hit", hit);
		if (!hit) continue;
		any++;
		if (f.x >= reach - 1e-7) { // parents come before their children
			sum += f.w;
			reach = f.x + f.w;
		}
	}
	output.textContent = !pattern ? "" : chart ? any + (any === 1 ? " match" : " matches") :
		"matched " + sum.toFixed(1) + " %";
	reset.disabled = from === 0 && to === 100 && !pattern;
}

// --- zoom ----------------------------------------------------------------------------------------------------
function show(a, b) {
	from = Math.max(0, a);
	to = Math.min(100, b);
	draw();
}

function zoom(a, b) {
	if (Math.abs(a - from) < 1e-9 && Math.abs(b - to) < 1e-9) return;
	past.push([from, to]);
	show(a, b);
}

function back() {
	var view = past.pop();
	if (view) show(view[0], view[1]);
}

function everything() {
	past = [];
	input.value = "";
	search("");
	show(0, 100);
}

function closer(factor, at) {
	var half = (to - from) * factor / 2, mid = at === undefined ? (from + to) / 2 : at;
	if (half > 50) return show(0, 100);
	if (half < 1e-5) return;
	mid = Math.min(Math.max(mid, half), 100 - half);
	zoom(mid - half, mid + half);
}

// --- details -------------------------------------------------------------------------------------------------
function lines(s, most) {
	var room = Math.max(20, Math.floor((Math.min(width, 700) - 40) / (cell || 7))), out = [], n;
	while (s && out.length < most) {
		n = cells(s, room);
		out.push(s.slice(0, n));
		s = s.slice(n);
	}
	if (s) out[most - 1] = out[most - 1].slice(0, -2) + "..";
	return out;
}

function details(f, x, y) {
	var rect = tip.querySelector("rect"), text = tip.querySelector("text"), box, words;
	info.textContent = fit(root.getAttribute("data-nametype") + ": " + f.name + "  " + f.info, width - 2 * MARGIN);
	while (text.firstChild) text.removeChild(text.firstChild);
	words = lines(f.name, 6).concat([f.info]);
	words.forEach(function (s, i) {
		var t = create("tspan", text);
		t.setAttribute("x", 8);
		t.setAttribute("y", 18 + i * 16);
		t.textContent = s;
	});
	tip.style.display = "block";
	box = text.getBBox();
	rect.setAttribute("width", box.width + 16);
	rect.setAttribute("height", words.length * 16 + 12);
	x = Math.max(2, Math.min(x + 14, width - box.width - 22));
	y = y + 18 + words.length * 16 + 14 > root.height.baseVal.value ? y - words.length * 16 - 24 : y + 18;
	tip.setAttribute("transform", "translate(" + x + "," + Math.max(2, y) + ")");
}

function hide() {
	tip.style.display = "none";
	info.textContent = "";
}

function frame_of(node) {
	for (; node && node !== frames && node !== root; node = node.parentNode)
		if (node.getAttribute && node.getAttribute("data-i")) return all[+node.getAttribute("data-i")];
	return null;
}

function point(e) {
	var box = root.getBoundingClientRect();
	return [e.clientX - box.left, e.clientY - box.top];
}

// --- keyboard ------------------------------------------------------------------------------------------------
function select(f) {
	var box, own;
	if (current) current.g.classList.remove("cur");
	current = f;
	if (!f) return hide();
	f.g.classList.add("cur");
	if (f.rect.scrollIntoView) f.rect.scrollIntoView({ block: "nearest" });
	box = f.rect.getBoundingClientRect();
	own = root.getBoundingClientRect();
	details(f, Math.max(0, box.left - own.left), box.top - own.top);
}

function widest(list) {
	return list.reduce(function (best, f) { return !best || f.w > best.w ? f : best; }, null);
}

function move(dx, dy) {
	var seen = all.filter(function (f) { return f.seen; }), list;
	if (!current || !current.seen) // from where everything begins
		return select(chart ? seen[0] : widest(seen.filter(function (f) { return f.y === all[0].y; })));
	if (dy) { // the nearest row that way; on it the widest that overlaps
		list = seen.filter(function (f) {
			return (f.y - current.y) * dy > 0 && f.x < current.x + current.w - 1e-7 && f.x + f.w > current.x + 1e-7;
		});
		if (!list.length) return;
		dy = list.reduce(function (near, f) { return Math.min(near, Math.abs(f.y - current.y)); }, Infinity);
		return select(widest(list.filter(function (f) { return Math.abs(f.y - current.y) === dy; })));
	}
	list = seen.filter(function (f) { return f.y === current.y && (f.x - current.x) * dx > 0; });
	if (list.length) select(list.reduce(function (best, f) { return (best.x - f.x) * dx > 0 ? f : best; }));
}

function key(e) {
	var typing = e.target === input, name = e.key;
	if ((name === "f" && (e.ctrlKey || e.metaKey)) || (name === "/" && !typing)) {
		input.focus();
		input.select();
	} else if (name === "Escape") {
		if (current && !typing && !pattern && from === 0 && to === 100) select(null);
		else everything();
		if (typing) input.blur();
	} else if (typing && name === "Enter") {
		input.blur();
		search(input.value);
	} else if (typing || e.ctrlKey || e.metaKey || e.altKey || e.target === reset) {
		return;
	} else if (name === "ArrowLeft" || name === "ArrowRight") {
		move(name === "ArrowLeft" ? -1 : 1, 0);
	} else if (name === "ArrowUp" || name === "ArrowDown") {
		move(0, name === "ArrowUp" ? -1 : 1);
	} else if ((name === "Enter" || name === " ") && current) {
		zoom(current.x, current.x + current.w);
		select(current);
	} else if (name === "Backspace") {
		back();
	} else if (name === "+" || name === "=") {
		closer(0.5, current ? current.x + current.w / 2 : undefined);
	} else if (name === "-") {
		closer(2);
	} else {
		return;
	}
	e.preventDefault();
}

// --- events --------------------------------------------------------------------------------------------------
frames.addEventListener("click", function (e) {
	var f = frame_of(e.target);
	if (f) {
		if (current) current.g.classList.remove("cur");
		current = f;
		zoom(f.x, f.x + f.w);
	}
});
frames.addEventListener("mousemove", function (e) {
	var f = frame_of(e.target), at = point(e);
	if (f) details(f, at[0], at[1]);
	else hide();
});
frames.addEventListener("mouseleave", hide);
frames.addEventListener("wheel", function (e) {
	var at = point(e)[0] - MARGIN, inner = width - 2 * MARGIN, mid = from + (to - from) * at / inner, k;
	if (!e.ctrlKey && !e.shiftKey) return; // the page scrolls
	e.preventDefault();
	k = (e.deltaY || e.deltaX) < 0 ? 0.8 : 1.25;
	if ((to - from) * k >= 100) return show(0, 100);
	if ((to - from) * k < 2e-5) return;
	show(Math.max(0, mid - (mid - from) * k), Math.min(100, mid + (to - mid) * k));
}, { passive: false });
input.addEventListener("input", function () {
	clearTimeout(timer);
	timer = setTimeout(function () { search(input.value); }, 60);
});
reset.addEventListener("click", everything);
(root.parentNode === document ? document : root).addEventListener("keydown", key);
window.addEventListener("resize", layout);
root.addEventListener("focus", function () { // by Tab: what is focused is seen
	if (!current && root.matches(":focus-visible")) move(0, 0);
});

if (fluid) {
	root.setAttribute("width", "100%");
	root.removeAttribute("viewBox");
}
ui.style.display = "block";
root.setAttribute("tabindex", "0");
root.style.outline = "none";
layout();
})();
