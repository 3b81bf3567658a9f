// The console: lists on the left, details on the right. The address' fragment says what is open.
import { $, bytes, card, chip, copy, duration, h, milliseconds, pairs, s, time } from './dom.js'
import { concealed, concealerOf, parse, pretty } from './body.js'
import { curl, proxyEvent } from './copy.js'

const pageSize = 200
const lists = {
	requests: { items: [], next: '', key: r => r.id },
	agreements: { items: [], next: '', key: a => `${a.provider}/${a.id}` },
	events: { items: [], next: '', key: e => e.id },
}
const filters = { text: '', provider: '', state: '', type: '', cause: '' }
const revealed = new Set() // the requests whose personal data are shown
const raw = new Set() // the requests whose bodies are shown as they came
let vendors = []
let forwarding = false
let route = { list: 'requests', id: '' }
let shown = 100 // items
let opened = '' // the detail that is on the page, as JSON
let result = null // of the last button, with the request that it belongs to

const title = name => vendors.find(v => v.name === name)?.title ?? name

// Reading and ordering.

async function get(path) {
	const answer = await fetch(path, { headers: { Accept: 'application/json' } })
	if (!answer.ok) throw new Error((await answer.text()).trim() || `${path}: ${answer.status}`)
	return answer.json()
}

async function post(path, body) {
	const answer = await fetch(path, {
		method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body ?? {}),
	})
	const text = (await answer.text()).trim()
	if (!answer.ok) throw new Error(text || `the gateway answered ${answer.status}`)
	return /json/.test(answer.headers.get('Content-Type')) ? JSON.parse(text) : text
}

async function load(name, more) {
	const list = lists[name]
	reading++
	let page
	try {
		page = await get(`/api/${name}?limit=${pageSize}` + (more ? `&after=${list.next}` : ''))
	} finally {
		if (--reading === 0) setTimeout(release)
	}
	const known = new Set(more ? list.items.map(list.key) : [])
	list.items = [...(more ? list.items : []), ...page[name].filter(item => !known.has(list.key(item)))]
	list.next = page.next ?? ''
	list.loaded = true
}

async function reload() {
	try {
		await Promise.all([...new Set(['requests', route.list])].map(name => load(name)))
		drawList()
		await drawDetail()
	} catch (error) {
		$('count').textContent = `The gateway does not answer: ${error.message}`
	}
}

// soon runs a function once after the calls of a moment.
function soon(run, wait = 150) {
	let timer
	return () => { timer ??= setTimeout(() => { timer = undefined; run() }, wait) }
}

const drawListSoon = soon(() => drawList())
const drawDetailSoon = soon(() => drawDetail())
const loadSoon = soon(async () => {
	if (route.list === 'requests') return
	try {
		const list = lists[route.list]
		const page = await get(`/api/${route.list}?limit=100`)
		const fresh = new Set(page[route.list].map(list.key))
		if (!list.items.length) list.next = page.next ?? ''
		list.items = [...page[route.list], ...list.items.filter(item => !fresh.has(list.key(item)))]
		drawList()
	} catch { /* the stream will say so */ }
}, 300)

// The stream.

let source
let awayTimer
let reading = 0 // lists
let held = [] // messages that came meanwhile: a list may have been read before or after them

const hold = take => message => {
	const data = JSON.parse(message.data)
	if (reading) held.push(() => take(data))
	else take(data)
}

function release() {
	if (reading) return
	const all = held
	held = []
	for (const take of all) take()
}

function connect() {
	source = new EventSource('/api/stream')
	source.addEventListener('hello', message => {
		live('live', 'Live')
		if (JSON.parse(message.data).missed) reload()
	})
	source.addEventListener('reload', reload)
	source.addEventListener('request', hold(arrived))
	source.addEventListener('event', hold(happened))
	source.addEventListener('published', hold(published))
	source.onerror = () => {
		live('lost', 'Gateway is not reachable')
		if (source.readyState === EventSource.CLOSED) { // the browser has given up
			setTimeout(() => { connect(); reload() }, 2000)
		}
	}
}

function live(state, text) {
	$('live').dataset.state = state
	$('live').textContent = text
}

// A hidden page gives its connection back after a while: browsers open only a few to one host.
document.addEventListener('visibilitychange', () => {
	clearTimeout(awayTimer)
	if (document.hidden) {
		awayTimer = setTimeout(() => { source.close(); live('connecting', 'Paused') }, 10_000)
	} else if (source?.readyState === EventSource.CLOSED) {
		connect()
		reload()
	}
})

function arrived(request) {
	const list = lists.requests
	if (list.items.some(r => r.id === request.id)) return
	request.fresh = true
	list.items.unshift(request)
	list.items.length = Math.min(list.items.length, 500)
	announce(request)
	drawListSoon()
	if (relates(request.eventIds)) drawDetailSoon()
}

function happened(event) {
	for (const request of lists.requests.items) {
		if (request.eventIds[0] !== event.id) continue
		request.state = event.state
		request.type = event.type
	}
	drawListSoon()
	loadSoon()
	if (relates([event.id]) || route.list === 'agreements' && route.id === `${event.provider}/${event.agreementId}`) {
		drawDetailSoon()
	}
}

function published(one) {
	if (relates([one.envelope.detail.eventId])) drawDetailSoon()
	loadSoon()
}

// relates reports whether what is open may show one of these events.
function relates(ids) {
	if (!route.id) return false
	if (!opened) return true // it is being read, perhaps without them
	const data = JSON.parse(opened)
	return (data?.eventIds ?? data?.events?.map(e => e.id))?.some(id => ids.includes(id))
}

let said = 0
function announce(request) { // at most one a second, or a screen reader would never end
	if (Date.now() - said < 1000) return
	said = Date.now()
	$('said').textContent = `New request: ${title(request.provider)}, ${request.vendorType || request.method}, ${request.outcome}`
}

// The list.

const filterable = {
	requests: {
		states: ['accepted', 'duplicate', 'refused', 'unreadable', 'unavailable', 'challenge', 'received', 'processed', 'failed'],
		state: (r, wanted) => r.outcome === wanted || r.state === wanted,
		types: r => [r.type, r.vendorType],
		text: r => [r.id, r.provider, title(r.provider), r.method, String(r.status), r.outcome, r.state, r.type, r.vendorType,
			r.agreementId, ...r.eventIds, ...(r.causes ?? []).flatMap(c => [c.code, c.hint])],
	},
	agreements: {
		states: ['created', 'sent', 'viewed', 'signed', 'failed', 'expired', 'cancelled', 'declined', 'completed'],
		state: (a, wanted) => a.status === wanted,
		types: () => [],
		text: a => [a.id, a.provider, title(a.provider), a.status, ...Object.entries(a.references ?? {}).flat()],
	},
	events: {
		states: ['received', 'processed', 'unreadable', 'failed'],
		state: (e, wanted) => e.state === wanted,
		types: e => [e.type, e.vendorType],
		text: e => [e.id, e.provider, title(e.provider), e.type, e.vendorType, e.agreementId, e.state,
			...Object.entries(e.references ?? {}).flat()],
	},
}

function matching() {
	const by = filterable[route.list]
	const words = filters.text.toLowerCase().split(/\s+/).filter(Boolean)
	return lists[route.list].items.filter(item =>
		(!filters.provider || item.provider === filters.provider) &&
		(!filters.state || by.state(item, filters.state)) &&
		(!filters.type || by.types(item).includes(filters.type)) &&
		(!filters.cause || route.list !== 'requests' || (item.causes ?? []).some(c => c.code === filters.cause)) &&
		(words.length === 0 || words.every(word => by.text(item).some(t => t?.toLowerCase().includes(word)))))
}

function options(name, label, values) {
	const select = $('filters').elements[name]
	const wanted = ['', ...new Set(values.filter(Boolean))]
	if (filters[name] && !wanted.includes(filters[name])) wanted.push(filters[name])
	if (select.options.length && [...select.options].map(o => o.value).join('\n') === wanted.join('\n')) return
	select.replaceChildren(...wanted.map(v => h('option', { value: v }, name === 'provider' && v ? title(v) : v || label)))
	select.value = filters[name]
}

function drawFilters() {
	const by = filterable[route.list], items = lists[route.list].items
	options('provider', 'All', vendors.map(v => v.name))
	options('state', 'All', by.states)
	options('type', 'All', items.flatMap(by.types).sort())
	options('cause', 'All', lists.requests.items.flatMap(r => (r.causes ?? []).map(c => c.code)).sort())
	for (const label of $('filters').querySelectorAll('[data-only]')) label.hidden = label.dataset.only !== route.list
	$('filters').elements.type.closest('label').hidden = route.list === 'agreements'
	$('filters').querySelector('[type=reset]').hidden = !Object.values(filters).some(Boolean)
}

const about = (...texts) => h('span', { class: 'about' }, texts.filter(Boolean).join(' · '))

const rows = {
	requests: r => [
		h('span', { class: 'what' }, r.type || r.vendorType || `${r.method} ${r.status}`),
		h('span', { class: 'when' }, time(r.receivedAt)),
		about(title(r.provider), r.causes?.[0]?.code || r.agreementId || bytes(Math.max(0, r.bodyBytes))),
		h('span', { class: 'chips' }, chip(r.outcome)),
	],
	agreements: a => [
		h('span', { class: 'what' }, title(a.provider)),
		h('span', { class: 'when' }, time(a.updatedAt)),
		about(a.id),
		h('span', { class: 'chips' }, a.conflict ? chip('conflict', 'note') : null, ' ', chip(a.status || 'no status')),
	],
	events: e => [
		h('span', { class: 'what' }, e.type || e.vendorType),
		h('span', { class: 'when' }, time(e.receivedAt)),
		about(title(e.provider), e.agreementId || e.id),
		h('span', { class: 'chips' }, e.duplicates ? chip(`+${e.duplicates}`, 'note') : null, ' ', chip(e.state)),
	],
}

function hrefOf(item) {
	if (route.list === 'requests') return `#requests/${item.id}`
	const id = route.list === 'agreements' ? item.id : item.agreementId
	return id ? `#agreements/${item.provider}/${encodeURIComponent(id)}` : '#events'
}

function drawList() {
	const list = lists[route.list], found = matching(), container = $('items')
	drawFilters()
	let place = container.firstElementChild
	const old = new Map([...container.children].map(li => [li.dataset.key, li]))
	for (const item of found.slice(0, shown)) {
		const key = route.list + '/' + list.key(item), content = JSON.stringify(item)
		let li = old.get(key)
		old.delete(key)
		if (!li) li = h('li', { 'data-key': key, class: item.fresh && list.loaded ? 'new' : null }, h('a'))
		if (li.content !== content) {
			li.content = content
			li.firstChild.href = hrefOf(item)
			li.firstChild.replaceChildren(...rows[route.list](item))
		}
		const open = route.id && (route.list === 'requests' ? item.id === route.id : route.id === `${item.provider}/${item.id}`)
		if (open) li.firstChild.setAttribute('aria-current', 'true')
		else li.firstChild.removeAttribute('aria-current')
		if (li === place) place = place.nextElementSibling
		else container.insertBefore(li, place)
	}
	for (const li of old.values()) li.remove()
	const total = list.items.length, name = total === 1 ? route.list.slice(0, -1) : route.list
	$('count').textContent = !list.loaded ? 'Loading …'
		: found.length === total ? `${total}${list.next ? '+' : ''} ${name}` : `${found.length} of ${total}${list.next ? '+' : ''} ${name}`
	$('more').hidden = found.length <= shown && !list.next
	drawEmpty(list.loaded && total === 0, found.length === 0 && total > 0)
}

function drawEmpty(nothing, filtered) {
	const box = $('empty')
	box.hidden = !nothing && !filtered
	const state = filtered ? 'filtered' : nothing ? route.list : ''
	if (box.dataset.state === state) return
	box.dataset.state = state
	if (filtered) {
		box.replaceChildren(h('p', null, 'Nothing matches the filters.'))
	} else if (nothing) {
		const name = vendors.find(v => v.name === 'docusign')?.name ?? vendors[0]?.name ?? 'docusign'
		box.replaceChildren(
			h('h2', null, route.list === 'requests' ? 'Waiting for the first request' : `No ${route.list} yet`),
			h('p', { class: 'muted' }, 'Requests appear here as they arrive, also those that are refused. Send one in a second terminal:'),
			command(`make send PROVIDER=${name} EVENT=${vendors.find(v => v.name === name)?.samples.includes('envelope-completed') ? 'envelope-completed' : vendors[0]?.samples[0] ?? ''}`),
			command(`make simulate PROVIDER=${name} STORY=two-signers`),
			h('p', { class: 'muted' }, 'Or send a sample from here:'),
			h('div', null, h('button', { type: 'button', class: 'primary', onclick: compose }, 'Send a sample')))
	}
}

function command(text) {
	return h('div', { class: 'command' }, h('code', null, text),
		h('button', { type: 'button', 'aria-label': `Copy ${text}`, onclick: e => copied(e.currentTarget, text) }, 'Copy'))
}

async function copied(button, text) {
	if (!await copy(text)) return offer(text)
	const label = button.textContent
	button.textContent = 'Copied'
	$('said').textContent = 'Copied'
	setTimeout(() => { button.textContent = label }, 1500)
}

// offer shows a text to copy, if the browser does not let us.
function offer(text) {
	const box = h('textarea', { readonly: true, 'aria-label': 'Text to copy' })
	box.value = text
	dialog('Copy this text', box, h('div', { class: 'buttons' }, h('button', { type: 'button', onclick: () => $('composer').close() }, 'Close')))
	box.select()
}

function dialog(name, ...content) {
	$('composer').replaceChildren(h('h2', { id: 'composer-title' }, name), ...content)
	$('composer').showModal()
}

// The details.

async function drawDetail() {
	const at = `${route.list}/${route.id}`
	document.body.dataset.open = route.id ? 'detail' : 'list'
	if (!route.id) {
		opened = ''
		replaceDetail([h('div', { class: 'empty' }, h('h2', null, 'Nothing is open'),
			h('p', { class: 'muted' }, 'Choose a request to see what came, each step of its verification, the answer, and what became of its event.'))])
		return
	}
	const number = ++drawDetail.begun
	let content, data
	try {
		if (route.list === 'requests') {
			data = await get(`/api/requests/${encodeURIComponent(route.id)}`)
			content = () => requestView(data)
		} else {
			const [provider, ...rest] = route.id.split('/')
			data = await get(`/api/agreements/${provider}/${encodeURIComponent(rest.join('/'))}`)
			content = () => agreementView(data)
		}
	} catch (error) {
		content = () => [back(), h('div', { class: 'empty' }, h('h2', null, 'This cannot be shown'), h('p', null, error.message))]
	}
	if (at !== `${route.list}/${route.id}` || number < drawDetail.drawn) return // another one, or a newer answer, is open now
	drawDetail.drawn = number
	const json = JSON.stringify(data ?? null)
	const fresh = json + [...revealed, ...raw].join() + JSON.stringify(result) + copies(data)
	if (fresh === drawDetail.last) return
	drawDetail.last = fresh
	opened = json
	replaceDetail(content())
}

drawDetail.begun = drawDetail.drawn = 0

// copies describes the requests of an agreement's events, on which its timeline depends.
const copies = data => lists.requests.items.filter(r => data?.events?.some(e => r.eventIds.includes(e.id))).map(r => r.id).join()

// replaceDetail draws the details, and keeps the focus and what is unfolded.
function replaceDetail(nodes) {
	const box = $('detail'), focused = box.contains(document.activeElement) ? document.activeElement.dataset.key : null
	const open = new Set([...box.querySelectorAll('details[open]')].map(d => d.dataset.key))
	box.replaceChildren(...nodes.flat(Infinity).filter(Boolean))
	for (const d of box.querySelectorAll('details')) if (open.has(d.dataset.key)) d.open = true
	if (focused) box.querySelector(`[data-key="${focused}"]`)?.focus()
}

const back = () => h('a', { class: 'back', href: `#${route.list}` }, `← All ${route.list}`)

function requestView(r) {
	const vendor = vendors.find(v => v.name === r.provider)
	const parts = r.isBase64Encoded ? [{ label: '', text: r.body }] : parse(r.body, r.headers['Content-Type']?.[0])
	const concealer = revealed.has(r.id) ? null : concealerOf(parts)
	return [
		back(),
		h('div', { class: 'card title' },
			h('h2', null, `${title(r.provider)} · ${r.type || r.vendorType || r.method}`),
			h('p', { class: 'facts' }, chip(r.outcome), h('span', null, `${r.method} ${r.path}`), time(r.receivedAt, true),
				h('span', null, `answered ${r.answer.status} in ${milliseconds(r.durationMs)}`), h('span', null, bytes(r.bodyBytes))),
			r.redeliveryOf ? h('p', { class: 'muted' }, 'Sent again from here; a copy of ',
				h('a', { href: `#requests/${r.redeliveryOf}`, 'data-key': 'original' }, 'this request'), '.') : null,
			requestButtons(r, vendor)),
		result?.id === r.id ? h('section', { class: 'card result', role: 'status' }, h('p', null, result.text)) : null,
		refusal(r),
		card('Verification', h('ol', { class: 'steps' }, r.steps.map(step => h('li', { class: step.result },
			h('span', { class: 'mark', 'aria-hidden': 'true' }, { passed: '✓', failed: '✕', skipped: '–' }[step.result]),
			h('span', { class: 'name' }, steps[step.name] ?? step.name, h('span', { class: 'unseen' }, ` (${step.result})`)),
			h('span', { class: 'text' }, step.detail))))),
		r.events.map(event => eventCard(r, event)),
		card('Answer', pairs([['Status', String(r.answer.status)], ['Time', milliseconds(r.answer.durationMs)],
			...headerPairs(r.answer.headers), ['Body', r.answer.body ? h('code', null, r.answer.body) : 'empty']])),
		bodyCard(r, parts, concealer),
		card('Headers', headersTable(r.headers, concealer),
			Object.keys(r.query).length ? [h('h4', null, 'Query'), headersTable(r.query, concealer)] : null,
			r.headersCut ? h('p', { class: 'muted' }, 'Not all headers are kept, because of their size.') : null),
	]
}

const steps = {
	'url-token': 'URL token', method: 'Method', size: 'Size', challenge: 'Challenge', keys: 'Keys', verify: 'Verify',
	identify: 'Identify', claim: 'Claim', enqueue: 'Enqueue',
}

function requestButtons(r, vendor) {
	const event = r.events.find(e => e.agreementId && e.event)
	const incomplete = r.bodyCut || r.headersCut
	return h('div', { class: 'buttons' },
		h('button', { type: 'button', class: 'primary', 'data-key': 'redeliver', title: 'Send the same bytes again, as the vendor does after a timeout',
			onclick: e => act(e.currentTarget, r.id, () => redeliver(r)) }, 'Redeliver'),
		event ? h('button', { type: 'button', 'data-key': 'replay', title: 'Publish the agreement’s events again',
			onclick: e => act(e.currentTarget, r.id, () => replay(r.provider, event.agreementId)) }, 'Replay') : null,
		h('button', { type: 'button', 'data-key': 'curl', disabled: incomplete, title: 'With the body as it came, personal data included',
			onclick: e => copied(e.currentTarget, curl(r, vendor)) }, 'Copy as curl'),
		h('button', { type: 'button', 'data-key': 'proxy', disabled: incomplete, title: 'As in events/, personal data included',
			onclick: e => copied(e.currentTarget, proxyEvent(r)) }, 'Copy as proxy event'))
}

// act runs what a button orders, and shows what came of it.
async function act(button, id, order) {
	button.disabled = true
	try {
		const came = await order()
		result = typeof came === 'string' ? { id, text: came } : came
	} catch (error) {
		result = { id, text: error.message }
	}
	button.disabled = false
	drawDetail()
}

async function redeliver(r) {
	const sent = await post(`/api/requests/${encodeURIComponent(r.id)}/redeliver`)
	const again = await get(`/api/requests/${encodeURIComponent(sent.id)}`)
	location.hash = `#requests/${sent.id}`
	return { id: sent.id, text: again.outcome === 'duplicate'
		? `Sent again, answered ${sent.status}: a duplicate. It has no second effect.`
		: `Sent again, answered ${sent.status}: ${again.outcome}.` }
}

const replay = (provider, id) => post('/api/operate', ['replay', '-provider', provider, '-id', id])

function refusal(r) {
	if (r.outcome !== 'refused' && r.outcome !== 'unavailable') return null
	const failed = r.steps.find(step => step.result === 'failed')
	const causes = r.causes === null
		? [h('li', { class: 'hint' }, 'The cause was not looked for: more than five refusals came within a second. Redeliver the request to find it.')]
		: r.causes.length ? r.causes.map(c => h('li', null, h('code', null, c.code), h('p', { class: 'hint' }, c.hint)))
			: [h('li', { class: 'hint' }, failed?.detail ?? `It was answered ${r.status}.`)]
	return h('section', { class: 'card why' }, h('h3', null, r.outcome === 'refused' ? 'Why it was refused' : 'Why it could not be taken'),
		h('ol', null, causes))
}

function eventCard(r, e) {
	const others = lists.requests.items.filter(o => o.id !== r.id && o.eventIds.includes(e.id))
	return [
		card('Event', pairs([
			['Event ID', h('code', null, e.id)],
			['Type', e.event ? h('span', null, e.event.type || 'not known yet', ' ', h('span', { class: 'muted' }, `(${e.vendorType})`)) : e.vendorType],
			['State', e.event ? chip(e.event.state) : 'not stored'],
			['Happened', e.event ? time(e.event.occurredAt, true) : null],
			['Duplicate', h('span', null, e.duplicate ? 'Yes. ' : 'No. ', e.why)],
			['Copies', e.event?.duplicates ? `${e.event.duplicates} more` : null],
			['Other requests', others.length ? h('span', null, others.slice(0, 10).map((o, i) => [i ? ', ' : '',
				h('a', { href: `#requests/${o.id}`, 'data-key': `other-${o.id}` }, time(o.receivedAt), ` ${o.outcome}`)])) : null],
			['Cause', e.event?.cause], ['Reason', e.event?.reason],
			['Agreement', e.agreementId ? h('a', { href: `#agreements/${r.provider}/${encodeURIComponent(e.agreementId)}`, 'data-key': 'agreement' }, h('code', null, e.agreementId)) : 'none'],
		])),
		e.after ? card('Agreement before and after', comparison(e)) : null,
		e.event?.state === 'processed' ? card('Published', publications(e.published)) : null,
	]
}

function comparison(e) {
	const before = flat(e.before ?? {}), after = flat(e.after)
	const names = [...new Set([...Object.keys(before), ...Object.keys(after)])]
	const changed = names.filter(name => before[name] !== after[name]), same = names.filter(name => before[name] === after[name])
	const value = text => text === undefined ? '–' : /^\d{4}-\d\d-\d\dT/.test(text) ? time(text, true) : text
	const table = (label, some) => h('div', { class: 'wide', tabindex: '0', role: 'region', 'aria-label': label }, h('table', null,
		h('thead', null, h('tr', null, ['Field', 'Before', 'After'].map(name => h('th', { scope: 'col' }, name)))),
		h('tbody', null, some.map(name => h('tr', null,
			h('th', { scope: 'row', title: name }, name.split('.').map(part => part.length > 14 ? part.slice(0, 8) + '…' : part).join(' · ')), h('td', null, value(before[name])), h('td', null, value(after[name])))))))
	return [
		changed.length ? table('What changed', changed) : h('p', { class: 'muted' }, 'Nothing changed.'),
		same.length ? h('details', { 'data-key': `same-${e.id}` }, h('summary', null, `${same.length} unchanged`), table('What did not change', same)) : null,
	]
}

// flat returns what matters of an agreement, as text by path.
function flat(agreement) {
	const found = {}
	const add = (path, value) => {
		if (value && typeof value === 'object') for (const key of Object.keys(value)) add(path ? `${path}.${key}` : key, value[key])
		else if (value !== '' && !/(^provider|^id|toldAt|roleAt|orderAt|waitingAt|statedAt|referencesAt|aliases\.\d+$|^listing\b)/.test(path)) found[path] = String(value)
	}
	add('', agreement)
	return found
}

function publications(all) {
	const says = {
		unforwarded: 'On the bus. No FORWARD_URL is set, so no application gets it.', waiting: 'The next attempt is due.',
		forwarded: 'Your application answered 2xx.', failed: 'Your application did not take it. Redrive starts over.',
	}
	if (!all.length) return h('p', { class: 'muted' }, 'Not among the last publications.')
	return h('ul', null, all.map(p => h('li', null, pairs([
		['Type', h('span', null, p.envelope['detail-type'], p.envelope.detail.replay ? ' (replay)' : '')],
		['Status', p.envelope.detail.statusChanged ? `${p.envelope.detail.statusBefore || 'none'} → ${p.envelope.detail.statusAfter}` : `${p.envelope.detail.statusAfter || 'none'}, unchanged`],
		['Application', h('span', null, chip(p.state), ' ', says[p.state] ?? '')],
		['Attempts', p.attempts ? String(p.attempts) : null],
		['It answered', p.error], ['Next attempt', p.next ? time(p.next) : null],
	]))))
}

function bodyCard(r, parts, concealer) {
	const asCame = raw.has(r.id)
	const body = asCame ? pretty([{ label: '', text: r.body }], concealer) : pretty(parts, concealer)
	const hidden = concealer && concealer.count > 0
	const toggle = (set, key, on, off) => h('button', { type: 'button', 'data-key': key, 'aria-pressed': String(set.has(r.id)),
		onclick: () => { set.has(r.id) ? set.delete(r.id) : set.add(r.id); drawDetail() } }, set.has(r.id) ? on : off)
	return h('section', { class: 'card' },
		h('div', { class: 'row' }, h('h3', null, 'Body'), h('div', { class: 'buttons' },
			hidden || !concealer ? toggle(revealed, 'reveal', 'Conceal personal data', 'Show personal data') : null,
			r.isBase64Encoded ? null : toggle(raw, 'raw', 'Pretty', 'As it came'))),
		r.bodyCut ? h('p', { class: 'muted' }, r.body ? `The first ${bytes(new Blob([r.body]).size)} of ${bytes(r.bodyBytes)}. The rest is not kept.` : 'The body is not kept any more.') : null,
		r.isBase64Encoded ? h('p', { class: 'muted' }, 'No text, shown as base64.') : null,
		r.body || !r.bodyCut ? body : null)
}

const headerPairs = all => Object.entries(all).sort().map(([name, values]) => [name, values.join(', ')])

function headersTable(all, concealer) {
	if (!Object.keys(all).length) return h('p', { class: 'muted' }, 'None.')
	return pairs(Object.entries(all).sort().map(([name, values]) => [name,
		h('span', { class: 'mono' }, concealed(concealer ? concealer.text(values.join(', ')) : values.join(', ')))]))
}

// Agreements.

function agreementView(a) {
	const came = lists.requests.items.filter(r => a.events.some(e => r.eventIds.includes(e.id))).reverse()
	const people = Object.entries(a.participants ?? {}).sort(([, p], [, q]) => (p.order ?? 99) - (q.order ?? 99))
	return [
		back(),
		h('div', { class: 'card title' },
			h('h2', null, h('span', { class: 'muted' }, `${title(a.provider)} `), h('code', { class: 'id' }, a.id)),
			h('p', { class: 'facts' }, chip(a.status || 'no status'), a.conflict ? chip('conflicting ends', 'note') : null,
				h('span', null, 'updated ', time(a.updatedAt, true)), h('span', null, `${a.events.length} ${a.events.length === 1 ? 'event' : 'events'}`)),
			h('div', { class: 'buttons' }, h('button', { type: 'button', 'data-key': 'replay', title: 'Publish the agreement’s events again',
				onclick: e => act(e.currentTarget, route.id, () => replay(a.provider, a.id)) }, 'Replay'))),
		result?.id === route.id ? h('section', { class: 'card result', role: 'status' }, h('p', null, result.text)) : null,
		Object.keys(a.references ?? {}).length ? card('References', pairs(Object.entries(a.references)),
			a.referencesCut?.length ? h('p', { class: 'muted' }, `Cut: ${a.referencesCut.join(', ')}`) : null) : null,
		people.length ? card('Participants', h('ul', null, people.map(([id, p]) => person(id, p)))) : null,
		card('Timeline', a.events.length ? spark(a, came) : null, timeline(a, came)),
		a.documents?.length ? card('Documents', h('ul', null, a.documents.map(d => h('li', null, h('code', null, d.location ?? ''))))) : null,
	]
}

function person(id, p) {
	const steps = ['sent', 'viewed', 'signed'], ended = p.status === 'declined' || p.status === 'expired'
	const done = ended ? 3 : steps.indexOf(p.status) + 1
	return h('li', { class: 'person' },
		h('div', { class: 'who' }, p.order ? `${p.order}. ` : '', h('code', null, id), ' ',
			h('span', { class: 'muted' }, [p.role, p.reference].filter(Boolean).join(', ')), ' ',
			p.waiting ? chip('waiting') : null, p.replaced ? chip(p.replacedBy ? `replaced by ${p.replacedBy}` : 'replaced', 'note') : null,
			p.problem ? chip(p.problem, 'bad') : null),
		h('div', null, h('span', { class: 'progress' + (ended ? ' ended' : ''), 'aria-hidden': 'true' }, steps.map((_, i) => h('i', { class: i < done ? 'done' : null }))),
			h('span', null, p.status || 'unknown', ' ', h('span', { class: 'muted' }, time(p.at)))))
}

// spark draws when things happened and when their copies came, from left to right.
function spark(a, deliveries) {
	const marks = a.events.flatMap(e => {
		const came = deliveries.filter(r => r.eventIds.includes(e.id)).map(r => r.receivedAt)
		const all = came.length && came[0] <= e.receivedAt ? came : [e.receivedAt, ...came.filter(t => t > e.receivedAt)]
		return all.map((at, i) => ({ at: Date.parse(at), copy: i > 0, event: e }))
	}).sort((x, y) => x.at - y.at)
	const width = innerWidth < 900 ? 340 : 700, first = marks[0].at, last = marks.at(-1).at
	// Places mix time and order, so that a burst and a pause are both readable.
	const place = (m, i) => 24 + (width - 48) * (0.5 * (last > first ? (m.at - first) / (last - first) : 0) + 0.5 * (marks.length > 1 ? i / (marks.length - 1) : 0))
	const copies = marks.filter(m => m.copy).length
	const picture = s('svg', { viewBox: `0 0 ${width} 72`, class: 'spark', role: 'img', preserveAspectRatio: 'xMidYMid meet',
		'aria-label': `${a.events.length} events and ${copies} copies, over ${duration(last - first)}` })
	picture.append(s('line', { x1: 12, x2: width - 12, y1: 30, y2: 30, class: 'axis' }))
	const seen = new Map()
	marks.forEach((m, i) => {
		const x = place(m, i)
		if (m.copy && seen.has(m.event.id)) {
			const from = seen.get(m.event.id)
			picture.append(s('path', { d: `M${from} 30 Q${(from + x) / 2} 2 ${x} 30`, fill: 'none', class: 'from' }))
		}
		seen.set(m.event.id, x)
		picture.append(s('circle', { cx: x, cy: 30, r: m.copy ? 5 : 7, class: m.copy ? 'copy' : 'new' }, s('title', {}, `${m.event.type} ${m.copy ? '(copy) ' : ''}${new Date(m.at).toLocaleTimeString()}`)))
	})
	picture.append(s('text', { x: 12, y: 62 }, new Date(first).toLocaleTimeString()),
		s('text', { x: width - 12, y: 62, 'text-anchor': 'end' }, last > first ? `+${duration(last - first)}` : ''))
	return picture
}

function timeline(a, deliveries) {
	let status = '', before = null
	return h('ol', { class: 'timeline' }, a.events.map(e => {
		const entered = Object.entries(a.reached ?? {}).find(([, at]) => at === e.occurredAt)?.[0]
		const enters = entered && entered !== status && e.type === `agreement.${entered}`
		if (enters) status = entered
		const gap = before === null ? 0 : Date.parse(e.occurredAt) - before
		before = Date.parse(e.occurredAt)
		const came = deliveries.filter(r => r.eventIds.includes(e.id))
		const known = came.length
		const total = e.duplicates + 1
		return h('li', { class: enters ? 'enters' : e.state === 'processed' ? null : 'unread' },
			gap > 1000 ? h('span', { class: 'gap' }, `+${duration(gap)}`) : null,
			h('div', { class: 'happened' }, h('b', null, e.type || e.vendorType), h('span', { class: 'muted' }, e.vendorType), enters ? chip(entered) : null,
				e.state === 'processed' ? null : chip(e.state), h('span', { class: 'muted' }, e.approximate || e.occurredAtApproximate ? 'about ' : '', time(e.occurredAt, true))),
			h('ul', { class: 'copies', 'aria-label': 'Deliveries' },
				known ? came.map((r, i) => h('li', { class: r.outcome === 'duplicate' || i > 0 && r.outcome !== 'accepted' ? 'again' : null },
					h('a', { href: `#requests/${r.id}`, 'data-key': `came-${e.id}-${r.id}` }, time(r.receivedAt), ` ${r.redeliveryOf ? 'redelivered' : r.outcome}`)))
					: h('li', null, 'received ', time(e.receivedAt)),
				total > Math.max(known, 1) ? h('li', { class: 'again' }, `${total - Math.max(known, 1)} more ${total - Math.max(known, 1) === 1 ? 'copy' : 'copies'}`) : null,
				e.via?.length > 1 ? h('li', { class: 'again' }, `through ${e.via.length} subscriptions`) : null))
	}))
}

// Sending.

function compose() {
	const choose = (name, label, values) => h('label', null, h('span', null, label), h('select', { name }, values))
	const able = vendors.filter(v => v.keys > 0)
	const form = h('form', { method: 'dialog' },
		choose('provider', 'Vendor', able.map(v => h('option', { value: v.name }, v.title))),
		choose('what', 'What', []),
		h('label', null, h('span', null, 'Agreement ID (a new one if empty)'), h('input', { name: 'agreement', autocomplete: 'off' })),
		h('p', { role: 'status', class: 'muted' }),
		h('div', { class: 'buttons' }, h('button', { type: 'button', onclick: () => $('composer').close() }, 'Close'),
			h('button', { type: 'submit', class: 'primary' }, 'Send')))
	const { provider, what, agreement } = form.elements, status = form.querySelector('[role=status]')
	const fill = () => {
		const v = able.find(one => one.name === provider.value)
		const group = (label, values) => values.length ? h('optgroup', { label }, values) : null
		what.replaceChildren(...[group('Samples', v.samples.map(name => h('option', { value: `sample/${name}` }, name))),
			group('Stories', v.stories.map(one => h('option', { value: `story/${one.name}` }, `${one.name}: ${one.title}`)))].filter(Boolean))
		const completed = [...what.options].find(o => /complete|all_signed|finish/i.test(o.value))
		if (completed) what.value = completed.value
		kind()
	}
	const kind = () => {
		const story = what.value.startsWith('story/')
		agreement.closest('label').hidden = story
		form.querySelector('[type=submit]').textContent = story ? 'Play' : 'Send'
	}
	provider.addEventListener('change', fill)
	what.addEventListener('change', kind)
	form.addEventListener('submit', async event => {
		event.preventDefault()
		const [type, name] = what.value.split(/\/(.*)/s), button = form.querySelector('[type=submit]')
		button.disabled = true
		status.textContent = type === 'story' ? 'Playing. The requests appear as they arrive.' : 'Sending …'
		try {
			if (type === 'story') {
				const r = await post('/api/play', { provider: provider.value, story: name })
				status.textContent = `Played ${r.story}: ${r.sent} requests, ${r.acknowledged} of ${r.messages} messages acknowledged. Verdict: ${r.verdict}.`
				if ($('composer').open && r.agreements?.length) location.hash = `#agreements/${r.provider}/${encodeURIComponent(r.agreements[0])}`
			} else {
				const sent = await post('/api/send', { provider: provider.value, event: name, agreement: agreement.value.trim() })
				$('composer').close()
				location.hash = `#requests/${sent.id}`
			}
		} catch (error) {
			status.textContent = error.message
		}
		button.disabled = false
	})
	if (able.length) fill()
	dialog('Send a sample or play a story', able.length ? form : h('p', null, 'No vendor has a key to sign with.'))
}

// Navigation.

function navigate() {
	const [list, ...rest] = location.hash.slice(1).split('/')
	const id = rest.map(decodeSegment).join('/')
	const name = lists[list] ? list : 'requests'
	const moved = name !== route.list, other = id !== route.id
	route = { list: name, id: lists[list] ? id : '' }
	for (const link of document.querySelectorAll('nav a')) {
		if (link.dataset.list === name) link.setAttribute('aria-current', 'page')
		else link.removeAttribute('aria-current')
	}
	if (moved) {
		filters.state = filters.type = ''
		shown = 100
		$('items').replaceChildren()
		if (!lists[name].loaded || name !== 'requests') load(name).then(drawList, () => {})
	}
	drawList()
	if (moved || other) {
		drawDetail.last = undefined
		opened = ''
		drawDetail()
		if (route.id && matchMedia('(max-width: 56rem)').matches) {
			scrollTo(0, 0)
			$('detail').focus({ preventScroll: true })
		}
	}
}

function decodeSegment(text) {
	try { return decodeURIComponent(text) } catch { return text }
}

$('filters').addEventListener('input', event => {
	filters[event.target.name] = event.target.value
	shown = 100
	drawList()
})
$('filters').addEventListener('reset', () => {
	for (const name of Object.keys(filters)) filters[name] = ''
	setTimeout(drawList)
})
$('filters').addEventListener('submit', event => event.preventDefault())
$('more').addEventListener('click', async () => {
	shown += 100
	if (matching().length < shown && lists[route.list].next) {
		try { await load(route.list, true) } catch { /* the button stays */ }
	}
	drawList()
})
$('items').addEventListener('keydown', event => {
	const step = { ArrowDown: 'nextElementSibling', ArrowUp: 'previousElementSibling' }[event.key]
	const next = step && event.target.closest('li')?.[step]
	if (!next) return
	event.preventDefault()
	next.firstChild.focus()
})
$('compose').addEventListener('click', compose)
addEventListener('hashchange', navigate)

try {
	({ vendors, forwarding } = await get('/api/vendors'))
} catch { /* names instead of titles */ }
connect()
navigate()
await reload()
