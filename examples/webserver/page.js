// SPDX-License-Identifier: MIT
// Draws the figures of this server, and of the one that --peer names, as three live curves.
'use strict';

const KEEP = 60; // seconds
const find = id => document.getElementById(id);
const number = new Intl.NumberFormat('en-US');

function short(value) {
	if (value >= 1e6) return (value / 1e6).toFixed(value < 1e7 ? 1 : 0) + ' M';
	if (value >= 1e4) return (value / 1e3).toFixed(0) + ' k';
	return value >= 10 || value === 0 ? number.format(Math.round(value)) : value.toFixed(1);
}

// The lines of /metrics: names with labels are summed, and webserver_info has text.
function parseMetrics(text) {
	const figures = {};
	let info = {};
	for (const line of text.split('\n')) {
		const match = line.match(/^(\w+)(?:\{(.*)\})? (\S+)$/);
		if (!match) continue;
		if (match[1] === 'webserver_info')
			info = Object.fromEntries([...match[2].matchAll(/(\w+)="([^"]*)"/g)].map(label => [label[1], label[2]]));
		figures[match[1]] = (figures[match[1]] || 0) + Number(match[3]);
	}
	figures.requests = figures.webserver_requests_total;
	return {figures, info};
}

const doorbells = figures => figures.ringwake_doorbells_total;

// One server: its samples, a second apart, and whether it answers.
class Source {
	constructor(origin) {
		this.origin = origin;
		this.samples = [];
		this.connected = false;
	}
	async metrics() {
		const reply = await fetch(this.origin + '/metrics', {cache: 'no-store'});
		return parseMetrics(await reply.text());
	}
	async start() {
		try {
			this.info = (await this.metrics()).info;
		} catch {
			setTimeout(() => this.start(), 1000);
			return;
		}
		if (this.info.path === 'uv_async')
			this.poll();
		else
			this.listen();
	}
	listen() {
		const events = new EventSource(this.origin + '/events');
		events.onmessage = event => this.take(JSON.parse(event.data));
		events.onerror = () => {
			this.lose();
			if (events.readyState === EventSource.CLOSED)
				setTimeout(() => this.listen(), 1000);
		};
	}
	async poll() {
		try {
			this.take((await this.metrics()).figures);
		} catch {
			this.lose();
		}
		setTimeout(() => this.poll(), 1000);
	}
	lose() {
		this.connected = false;
		this.last = undefined;
		draw();
	}
	take(figures) {
		const now = performance.now(), last = this.last;
		this.connected = true;
		this.figures = figures;
		this.last = {now, figures};
		if (last) {
			const seconds = (now - last.now) / 1000;
			const rate = read => (read(figures) - read(last.figures)) / seconds;
			this.samples.push({
				now,
				requests: rate(f => f.requests),
				completions: rate(f => f.webserver_work_completed_total),
				doorbells: rate(doorbells),
				p50: figures.wake_p50_ns / 1000,
				p99: figures.wake_p99_ns / 1000,
			});
			this.samples = this.samples.slice(-2 * KEEP);
		}
		draw();
	}
}

const own = new Source('');
let peer;

const HEIGHT = 200, RIGHT = 180, BOTTOM = 22;

function element(name, attributes, text) {
	const made = document.createElementNS('http://www.w3.org/2000/svg', name);
	for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
	if (text !== undefined) made.textContent = text;
	return made;
}

// Labels at the ends of the lines, moved apart.
function place(labels) {
	labels.sort((a, b) => a.y - b.y);
	for (let i = 1; i < labels.length; i++)
		labels[i].y = Math.max(labels[i].y, labels[i - 1].y + 15);
	const over = labels.length ? labels[labels.length - 1].y - (HEIGHT - BOTTOM) : 0;
	if (over > 0) for (const label of labels) label.y -= over;
}

class Chart {
	constructor(title, unit, lines) {
		this.lines = lines;
		this.unit = unit;
		const figure = this.figure = document.createElement('figure');
		const caption = document.createElement('figcaption');
		this.title = document.createElement('b');
		caption.append(this.title, ' ' + unit);
		this.svg = element('svg', {role: 'img'});
		this.rename(title);
		figure.append(caption, this.svg);
		find('curves').append(figure);
	}
	rename(title) {
		this.title.textContent = title;
		this.svg.setAttribute('aria-label', title);
	}
	draw(now) {
		const lines = this.lines.map(line => ({...line, samples: (line.source() || {samples: []}).samples
			.filter(sample => sample.now > now - KEEP * 1000 && Number.isFinite(sample[line.of]))}))
			.filter(line => line.samples.length);
		this.figure.hidden = lines.length === 0;
		const most = Math.max(1, ...lines.flatMap(line => line.samples.map(sample => sample[line.of])));
		const right = this.svg.clientWidth - RIGHT; // one unit is one pixel, in windows of any width
		const x = at => right * (1 - (now - at) / (KEEP * 1000));
		const y = value => (HEIGHT - BOTTOM) - (HEIGHT - BOTTOM - 14) * value / most;
		const parts = [element('text', {x: 0, y: 10}, short(most)),
			element('line', {class: 'axis', x1: 0, x2: right, y1: y(0), y2: y(0)}),
			element('line', {class: 'axis', x1: 0, x2: right, y1: y(most), y2: y(most)}),
			element('text', {x: 0, y: HEIGHT - 5}, '1 minute ago'),
			element('text', {x: right, y: HEIGHT - 5, 'text-anchor': 'end'}, 'now')];
		const labels = [];
		for (const line of lines) {
			const points = line.samples.map(sample => `${x(sample.now).toFixed(1)} ${y(sample[line.of]).toFixed(1)}`);
			parts.push(element('path', {class: line.class, d: 'M' + points.join('L')}));
			const last = line.samples[line.samples.length - 1][line.of];
			const value = line.source().connected ? short(last) : 'no answer';
			labels.push({class: line.class, y: y(last) + 4, text: `${line.name()} ${value}`});
		}
		place(labels);
		for (const label of labels)
			parts.push(element('text', {class: label.class, x: right + 6, y: label.y}, label.text));
		this.svg.replaceChildren(...parts);
	}
}

const isNative = source => source.info && source.info.path === 'uv_async';
const nameOf = source => isNative(source) ? 'uv_async' : source.info ? 'ringwake' : source.origin;
const both = of => [
	{of, class: 'own', source: () => own, name: () => peer ? nameOf(own) : 'here'},
	{of, class: 'peer', source: () => peer, name: () => nameOf(peer)},
];
const charts = [
	new Chart('Requests', 'a second', both('requests')),
	new Chart('Completions and doorbells', 'a second', [
		{of: 'completions', class: 'own', source: () => own, name: () => 'completions'},
		{of: 'doorbells', class: 'second', source: () => own, name: () => 'doorbells'},
		{of: 'completions', class: 'peer', source: () => peer, name: () => `${nameOf(peer)}, completions`},
	]),
	new Chart('Wake latency', 'microseconds, in the last second', [
		{of: 'p99', class: 'second', source: () => own, name: () => 'p99'},
		{of: 'p50', class: 'own', source: () => own, name: () => 'p50'},
		{of: 'p99', class: 'peer', source: () => peer, name: () => `${nameOf(peer)}, p99`},
	]),
];

function headline(figures) {
	const completions = figures.webserver_work_completed_total, rung = doorbells(figures);
	if (rung === undefined)
		return `${number.format(figures.requests)} requests answered`;
	if (!completions)
		return 'No completions yet: run some load';
	const saved = Math.max(0, 1 - rung / completions);
	return `${Math.floor(saved * 100)} % of ${number.format(completions)} completions needed no system call`;
}

function draw() {
	const state = find('state');
	state.textContent = own.connected ? 'live' : 'disconnected: the server does not answer';
	state.classList.toggle('bad', !own.connected);
	if (own.connected) find('headline').textContent = headline(own.figures);
	const now = performance.now();
	for (const chart of charts) chart.draw(now);
}

function describe() {
	const info = own.info;
	const how = isNative(own)
		? 'Worker threads compute digests, and libuv’s own workers and uv_async wake the loop.'
		: `Worker threads compute digests, and ringwake wakes the loop (path ${info.path}).`;
	find('about').textContent = `${info.loop}. ${how}` +
		(peer ? ` The other server, ${peer.origin}, is shown beside it. Both answer /healthz equally fast, because it hands out no work.` : '');
	find('load').textContent = `Run ${info.load_seconds} seconds of load${peer ? ' on each' : ''}`;
	if (isNative(own) && (!peer || isNative(peer))) {
		charts[1].rename('Completions');
		for (const term of document.querySelectorAll('.wakes')) term.hidden = true;
	}
	document.title = isNative(own) ? 'Example web server' : 'ringwake: example web server';
}

const pause = seconds => new Promise(resolve => setTimeout(resolve, 1000 * seconds));

// One server after the other, because they share the processors.
find('load').onclick = async event => {
	const button = event.target, answer = find('answer');
	button.disabled = true;
	try {
		const reply = await fetch('/load', {method: 'POST'});
		answer.textContent = reply.ok ? 'running here' : await reply.text();
		await pause(own.info.load_seconds);
		if (peer) {
			await fetch(peer.origin + '/load', {method: 'POST', mode: 'no-cors'});
			answer.textContent = `running on ${nameOf(peer)}`;
			await pause(own.info.load_seconds);
		}
		answer.textContent = '';
	} catch {
		answer.textContent = 'a server does not answer';
	}
	button.disabled = false;
};

(async () => {
	await own.start();
	while (!own.info) await pause(0.2);
	if (own.info.peer) {
		peer = new Source(own.info.peer);
		await peer.start();
	}
	describe();
})();
