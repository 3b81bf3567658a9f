// Small helpers. Text from requests reaches the page as text only, never as HTML.

// h makes an element. Children are nodes or text; null is left out.
export function h(tag, attributes, ...children) {
	const element = document.createElement(tag)
	assign(element, attributes)
	element.append(...children.flat(Infinity).filter(c => c !== null && c !== undefined && c !== false))
	return element
}

const vector = 'http://www.w3.org/2000/svg'

export function s(tag, attributes, ...children) {
	const element = document.createElementNS(vector, tag)
	for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value)
	element.append(...children)
	return element
}

function assign(element, attributes) {
	for (const [name, value] of Object.entries(attributes || {})) {
		if (value === null || value === undefined || value === false) continue
		if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
		else if (name === 'value') element.value = value
		else element.setAttribute(name, value === true ? '' : value)
	}
}

export const $ = id => document.getElementById(id)

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false })
const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', year: 'numeric' })

export function time(text, withDay) {
	const at = new Date(text)
	if (!text || Number.isNaN(at.getTime()) || at.getFullYear() < 1970) return '–'
	const today = day.format(at) === day.format(new Date())
	const shown = (withDay || !today ? day.format(at) + ', ' : '') + clock.format(at)
	return h('time', { datetime: text, title: text }, shown)
}

export function duration(ms) {
	const seconds = Math.round(Math.abs(ms) / 1000)
	for (const [unit, size] of [['d', 86400], ['h', 3600], ['min', 60]]) {
		if (seconds >= size) return `${Math.round(seconds / size * 10) / 10} ${unit}`
	}
	return `${seconds} s`
}

export const milliseconds = ms => ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`

export function bytes(n) {
	if (n < 1024) return `${n} B`
	return n < 1 << 20 ? `${(n / 1024).toFixed(1)} KB` : `${(n / (1 << 20)).toFixed(1)} MB`
}

const tones = {
	accepted: 'good', processed: 'good', forwarded: 'good', completed: 'good', passed: 'good', signed: 'good',
	duplicate: 'note', unreadable: 'note', waiting: 'note', replaced: 'note',
	refused: 'bad', unavailable: 'bad', failed: 'bad', declined: 'bad', cancelled: 'bad', expired: 'bad',
	challenge: 'accent', sent: 'accent', viewed: 'accent', created: 'accent',
}

export const chip = (text, tone) => h('span', { class: `chip ${tone ?? tones[text] ?? ''}` }, text)

export const pairs = entries => h('dl', { class: 'pairs' },
	entries.filter(e => e && e[1] !== '' && e[1] !== null && e[1] !== undefined).map(([name, value]) => [h('dt', null, name), h('dd', null, value)]))

export const card = (title, ...children) => h('section', { class: 'card' }, h('h3', null, title), ...children)

// copy puts text on the clipboard, or returns false.
export async function copy(text) {
	try {
		await navigator.clipboard.writeText(text)
		return true
	} catch {
		return false
	}
}
