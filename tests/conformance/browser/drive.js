// SPDX-License-Identifier: MIT
//
// drive.js - our pictures in a headless browser: zoom, search, hover, keyboard, narrow and dark pages; no request leaves, no
// word on the console, nothing from a traced program becomes markup or script. Screenshots go to the working directory.
//
// Environment: TAPEBPF, CHROMIUM. Result lines; the last line is "done".
'use strict';
const { execFileSync } = require('child_process');
const fs = require('fs');
const path = require('path');
const { chromium } = require('playwright-core');
const assert = require('assert');

const HOSTILE = [
	'<script>window.stolen=1</script>', '</title></g></svg><script>window.stolen=2</script>', ']]><x>', '"onload="window.stolen=3',
	"'><img src=x onerror=window.stolen=4>", '&lt;&#x41;', 'javascript:window.stolen=5', '\u202eevil', 'x'.repeat(5000), '${window.stolen=6}',
];

function picture(name, args, input) {
	const file = path.resolve(name + '.svg');
	fs.writeFileSync(file, execFileSync(process.env.TAPEBPF, ['flame', '-q', ...args], { input, maxBuffer: 1 << 28 }));
	return file;
}

const STACKS = 'main;parse 20\nmain;query;lock 10\nmain;query;read 50\nmain;render 15\nidle 5\n';

class World {
	constructor(browser) {
		this.browser = browser;
	}

	async open(file, options = {}) {
		const context = await this.browser.newContext({ viewport: { width: 1200, height: 600 }, ...options });
		const page = await context.newPage();
		page.bad = [];
		page.on('console', m => page.bad.push('console: ' + m.text()));
		page.on('pageerror', e => page.bad.push('error: ' + e.message));
		page.on('request', r => { if (r.url() !== 'file://' + file) page.bad.push('request: ' + r.url()); });
		page.on('dialog', d => { page.bad.push('dialog'); d.dismiss(); });
		await page.goto('file://' + file);
		return page;
	}

	async close(page) {
		assert.deepStrictEqual(page.bad, []);
		await page.context().close();
	}
}

// What is seen: name -> [x, width] in px.
function seen(page) {
	return page.evaluate(() => {
		const out = {};
		for (const g of document.querySelectorAll('.frames g:not(.axis)')) {
			const box = g.querySelector('rect').getBoundingClientRect(), t = g.querySelector('text');
			if (g.style.display !== 'none' && t) out[t.textContent] = [Math.round(box.x), Math.round(box.width)];
		}
		return out;
	});
}

const frame = (page, name) => page.locator('.frames g', { has: page.locator('text=' + name) }).first();
const text = (page, selector) => page.locator(selector).first().textContent();

const tests = {
	async 'a click zooms, Reset and Backspace go back'(w) {
		const page = await w.open(picture('graph', ['-'], STACKS));
		const before = await seen(page);
		assert.deepStrictEqual(before.all, [10, 1180]);
		assert.deepStrictEqual(before.main, [69, 1121]); // behind idle, in order of names
		await frame(page, 'query').click();
		let now = await seen(page);
		assert.deepStrictEqual(now.query, [10, 1180]);
		assert.deepStrictEqual(now.main, [10, 1180]); // what it is in
		assert.ok(!now.render && !now.idle);
		assert.strictEqual(await page.locator('.frames g.up').count(), 2);
		await frame(page, 'read').click();
		await page.keyboard.press('Backspace');
		now = await seen(page);
		assert.deepStrictEqual(now.query, [10, 1180]);
		await page.locator('.bar button').click();
		assert.deepStrictEqual(await seen(page), before);
		await page.screenshot({ path: 'graph.png' });
		await w.close(page);
	},

	async 'a search marks what matches and tells its share'(w) {
		const page = await w.open(picture('graph', ['-'], STACKS));
		await page.keyboard.press('/');
		await page.keyboard.type('^query$|lock|idle');
		await page.waitForFunction(() => document.querySelector('.bar output').textContent);
		assert.strictEqual(await text(page, '.bar output'), 'matched 65.0 %'); // lock is within query: once
		assert.strictEqual(await page.locator('.hit').count(), 3);
		await page.screenshot({ path: 'search.png' });
		await page.locator('.bar input').fill('((');
		await page.waitForFunction(() => document.querySelector('.bar output').textContent === 'matched 0.0 %');
		await page.keyboard.press('Escape');
		assert.strictEqual(await page.locator('.hit').count(), 0);
		assert.strictEqual(await text(page, '.bar output'), '');
		await w.close(page);
	},

	async 'hovering shows the details'(w) {
		const page = await w.open(picture('graph', ['-'], STACKS));
		await frame(page, 'query').hover();
		assert.ok(await page.locator('.tip').isVisible());
		assert.strictEqual(await text(page, '.tip text'), 'query60 samples, 60.00 %');
		assert.match(await text(page, '.info'), /^Span: query {2}60 samples, 60.00 %$/);
		await page.mouse.move(600, 20);
		assert.ok(!await page.locator('.tip').isVisible());
		await w.close(page);
	},

	async 'everything works by keyboard'(w) {
		const page = await w.open(picture('icicle', ['--inverted', '-'], STACKS));
		const current = () => page.evaluate(() => document.querySelector('.cur text').textContent);
		await page.keyboard.press('Tab');
		assert.strictEqual(await current(), 'all'); // the focus is seen
		await page.keyboard.press('Escape');
		assert.strictEqual(await page.locator('.cur').count(), 0);
		await page.keyboard.press('ArrowDown');
		assert.strictEqual(await current(), 'all');
		await page.keyboard.press('ArrowDown');
		assert.strictEqual(await current(), 'main');
		await page.keyboard.press('ArrowLeft');
		assert.strictEqual(await current(), 'idle');
		await page.keyboard.press('ArrowRight');
		await page.keyboard.press('ArrowDown');
		assert.strictEqual(await current(), 'query');
		await page.keyboard.press('Enter');
		assert.deepStrictEqual((await seen(page)).query, [10, 1180]);
		await page.keyboard.press('ArrowUp');
		assert.strictEqual(await current(), 'main');
		await page.keyboard.press('Escape');
		assert.deepStrictEqual((await seen(page)).all, [10, 1180]);
		assert.ok((await seen(page)).idle);
		await page.keyboard.press('+');
		assert.ok(!(await seen(page)).idle || (await seen(page)).idle[1] !== 59);
		await page.keyboard.press('Control+f');
		assert.ok(await page.evaluate(() => document.activeElement.tagName.toLowerCase() === 'input'));
		await w.close(page);
	},

	async 'a narrow page has everything in it'(w) {
		const page = await w.open(picture('graph', ['-'], STACKS), { viewport: { width: 360, height: 640 }, hasTouch: true });
		assert.deepStrictEqual((await seen(page)).all, [10, 340]);
		const overflow = await page.evaluate(() => document.documentElement.scrollWidth);
		assert.ok(overflow <= 360, 'wider than the window: ' + overflow);
		const bar = await page.locator('.bar input').boundingBox(), top = await frame(page, 'read').boundingBox();
		assert.ok(bar.y + bar.height <= top.y, 'the controls lie over the frames');
		await page.setViewportSize({ width: 900, height: 640 });
		await page.waitForFunction(() => document.querySelector('.frames').getAttribute('width') === '880');
		await page.screenshot({ path: 'narrow.png' });
		await w.close(page);
	},

	async 'light and dark'(w) {
		const file = picture('graph', ['-'], STACKS), background = page => page.evaluate(() => getComputedStyle(document.querySelector('.bg')).fill);
		const light = await w.open(file, { colorScheme: 'light' }), dark = await w.open(file, { colorScheme: 'dark' });
		assert.strictEqual(await background(light), 'rgb(255, 255, 255)');
		assert.strictEqual(await background(dark), 'rgb(13, 17, 23)');
		await dark.screenshot({ path: 'dark.png' });
		await w.close(light);
		await w.close(dark);
	},

	async 'hostile names stay names'(w) {
		const lines = HOSTILE.map((name, i) => 'main;' + name.replace(/;/g, ':') + ' ' + (i + 10)).join('\n') + '\n';
		for (const args of [['-'], ['--chart', '-'], ['--title', HOSTILE[1], '--subtitle', HOSTILE[0], '--nametype', HOSTILE[3], '-']]) {
			const page = await w.open(picture('hostile', args, lines));
			assert.strictEqual(await page.evaluate(() => window.stolen), undefined);
			assert.strictEqual(await page.locator('script').count(), 1);
			assert.strictEqual(await page.locator('img').count(), 0);
			for (const g of await page.locator('.frames g:not(.axis)').all()) if (await g.isVisible()) await g.hover();
			await page.keyboard.press('/');
			await page.keyboard.type('<script>');
			await page.waitForFunction(() => document.querySelector('.bar output').textContent);
			assert.strictEqual(await page.evaluate(() => window.stolen), undefined);
			await w.close(page);
		}
	},

	async 'a chart has a time line that follows the zoom'(w) {
		const page = await w.open(picture('chart', ['--chart', '-'], 'a;b 10\na 10\na;b 20\nc 10\n'));
		assert.deepStrictEqual((await seen(page)).a, [10, 944]);
		assert.strictEqual(await text(page, '.axis text:nth-child(2)'), '10');
		await frame(page, 'c').click();
		assert.strictEqual(await text(page, '.axis text:nth-child(1)'), '40');
		assert.deepStrictEqual((await seen(page)).c, [10, 1180]);
		await page.screenshot({ path: 'chart.png' });
		await w.close(page);
	},

	async 'a difference says what has changed'(w) {
		fs.writeFileSync('before.folded', STACKS);
		fs.writeFileSync('after.folded', STACKS.replace('read 50', 'read 150'));
		const page = await w.open(picture('diff', ['--diff', 'before.folded', 'after.folded']));
		await frame(page, 'read').hover();
		assert.match(await text(page, '.tip text'), /^read150 samples, 75.00 %; before 100 samples \(scaled\), change \+25.00 %$/);
		await page.screenshot({ path: 'diff.png' });
		await w.close(page);
	},

	async 'a large picture is drawn'(w) {
		let lines = '';
		for (let i = 0; i < 20000; i++) lines += `main;f${i % 100};g${i} ${1 + i % 7}\n`;
		const page = await w.open(picture('large', ['--min-width', '0', '-'], lines));
		assert.strictEqual(await page.locator('.frames g').count(), 20102);
		await page.locator('.frames g').nth(2).click();
		assert.deepStrictEqual((await seen(page)).f0, [10, 1180]);
		await w.close(page);
	},
};

(async () => {
	const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] });
	const world = new World(browser);

	for (const [name, test] of Object.entries(tests)) {
		try {
			await test(world);
			console.log('ok - conformance: browser: ' + name);
		} catch (e) {
			console.log(String(e.stack).replace(/^/gm, '    '));
			console.log('not ok - conformance: browser: ' + name);
		}
	}
	await browser.close();
	console.log('done');
})();
