/* scumble-client 0.2.0, MIT OR Apache-2.0 */
import*as d from"yjs";var f=h=>typeof h=="object"&&h!==null&&!Array.isArray(h);function v(h){try{let[e,t]=JSON.parse(h);return Number.isSafeInteger(e)&&e>=0&&f(t)?[e,t]:void 0}catch{
return}}var u=class{constructor(e,t,n){this.room=e;this.id=t;this.awareness=n;let o=(s,a)=>{a==="local"&&this.tell(this.local())};n.on("change",o),this.stops=[()=>n.
off("change",o),e.on("others",()=>this.show(this.here())),e.on("status",()=>this.show(this.here()))],this.tell(this.local()),this.show(this.here())}room;id;awareness;told=new Map;shown=new Map;own=null;stops;destroy(){
for(let e of this.stops)e();this.tell(null),this.show(new Map)}local(){let e=this.awareness.getLocalState(),t=e&&JSON.stringify([this.awareness.clientID,e]);return t&&
t.length<=4096?t:null}tell(e){if(e!==this.own)try{this.room.presence.update({yjs:{[this.id]:e}}),this.own=e}catch(t){if(!(t instanceof RangeError))throw t}}here(){
let e=new Map,t=new Map;if(this.room.status==="connected")for(let{client:n,away:o,state:s}of this.room.others){let a=s.yjs,i=f(a)&&Object.hasOwn(a,this.id)?a[this.
id]:void 0;if(o||typeof i!="string"||i.length>4096)continue;let r=this.told.get(n),c=r?.text===i?r:{text:i,read:v(i)};t.set(n,c);let p=c.read?.[0];p!==void 0&&p!==
this.awareness.clientID&&!e.has(p)&&e.set(p,c)}return this.told=t,e}show(e){let{states:t,meta:n}=this.awareness,o=[...this.shown.keys()].filter(i=>!e.has(i));for(let i of o)
t.delete(i),n.delete(i);let[s,a]=[[],[]];for(let[i,{text:r,read:c}]of e)!c||this.shown.get(i)===r||((this.shown.has(i)?a:s).push(i),t.set(i,c[1]),n.set(i,{clock:(n.
get(i)?.clock??-1)+1,lastUpdated:1/0}));if(this.shown=new Map([...e].map(([i,{text:r}])=>[i,r])),s.length+a.length+o.length!==0)for(let i of["change","update"])
this.awareness.emit(i,[{added:s,updated:a,removed:o},this])}};function y(h){let e=new Uint8Array(h.length+1);return e[0]=0,e.set(h,1),e}function m(h,e){let t=Math.max(1,e-13),n=Math.ceil(h.length/t);if(n>65535)throw new RangeError(
"the update is too large for messages of this server");let o=crypto.getRandomValues(new Uint8Array(8));return Array.from({length:n},(s,a)=>{let i=h.subarray(a*t,
(a+1)*t),r=new Uint8Array(13+i.length),c=new DataView(r.buffer);return r[0]=1,r.set(o,1),c.setUint16(9,a),c.setUint16(11,n),r.set(i,13),r})}var l=class{constructor(e=()=>performance.
now()){this.now=e}now;open=new Map;clear(){this.open.clear()}update({seq:e,data:t}){if(t[0]===0&&t.length>1)return t.subarray(1);if(t[0]!==1||t.length<=13)return;
let n=new DataView(t.buffer,t.byteOffset,t.byteLength),o=t.subarray(1,9).join("."),s=n.getUint16(9),a=n.getUint16(11),i=this.open.get(o);if(s>=a||i&&i.parts.length!==
a)return;let r=i??{parts:Array.from({length:a},()=>{}),first:e,since:this.now(),missing:a};if(r.first=Math.min(r.first,e),r.parts[s]||(r.parts[s]=t.subarray(13),
r.missing--),r.missing>0){this.open.set(o,r);return}return this.open.delete(o),w(r.parts)}get firstOpen(){return[...this.open.values()].filter(({since:t})=>this.
now()-t<6e5).reduce((t,n)=>Math.min(t,n.first),1/0)}};function w(h){let e=new Uint8Array(h.reduce((n,{length:o})=>n+o,0)),t=0;for(let n of h)e.set(n,t),t+=n.length;
return e}var E=512,b=64*1024,A=5e3,g=class{constructor(e,t,n,o={}){this.room=e;this.id=t;this.doc=n;this.kind=o.kind??"yjs",this.flushMs=o.flushMs??30,this.compactEntries=
o.compactEntries??200,this.log=e.log(t),this.awareness=o.awareness,this.carets=this.awareness&&new u(e,t,this.awareness);let s=(r,c)=>{c!==this&&this.changed(r)},
a=()=>this.destroy();n.on("update",s),n.on("destroy",a);let i=()=>this.flush();globalThis.addEventListener?.("pagehide",i),this.stops.push(()=>n.off("update",s),
()=>n.off("destroy",a),()=>globalThis.removeEventListener?.("pagehide",i),this.log.on("append",r=>this.heard(r)),this.log.on("compact",r=>this.heard(r)),this.log.
on("reset",r=>this.restarted(r.entries)),e.on("sync",()=>this.settle()),e.on("objects",({changes:r})=>{r.some(c=>c.id===t&&c.type==="create")&&this.lack()})),this.
restarted(this.log.entries),this.settle()}room;id;doc;synced=!1;awareness;carets;log;flushMs;compactEntries;kind;pieces=new l;stops=[];waiting=new Set;pending=[];unacked=0;timer;compactTimer;compacting=!1;lacking=!0;destroyed=!1;whenSynced(){
return this.synced?Promise.resolve():new Promise(e=>this.waiting.add(e))}destroy(){if(!this.destroyed){this.flush(),this.destroyed=!0,this.carets?.destroy(),clearTimeout(
this.timer),clearTimeout(this.compactTimer);for(let e of this.stops)e()}}heard({type:e,entries:t,own:n}){this.take(t),e==="append"&&!n&&this.settle(),this.compactSoon()}restarted(e){
this.pieces.clear(),this.take(e),this.lack(),this.compactSoon()}take(e){let t=e.flatMap(n=>this.pieces.update(n)??[]);t.length!==0&&this.doc.transact(()=>{for(let n of t)
d.applyUpdate(this.doc,n,this)},this)}lack(){this.lacking=!0,this.settle()}changed(e){this.pending.push(e),this.synced=!1,this.timer??=setTimeout(()=>this.flush(),
this.flushMs)}get arrived(){return this.room.sync==="synchronized"&&this.room.status==="connected"}settle(){if(!(this.destroyed||!this.arrived||this.pending.length>
0||this.unacked>0)){if(this.lacking){this.lacking=!1;let e=this.missing();if(e)return this.append(e)}this.synced=!0;for(let e of this.waiting)e();this.waiting.clear()}}missing(){
let e=new d.Doc,t=new l;for(let s of this.log.entries){let a=t.update(s);a&&d.applyUpdate(e,a)}let o=d.equalSnapshots(d.snapshot(this.doc),d.snapshot(e))?void 0:
d.encodeStateAsUpdate(this.doc,d.encodeStateVector(e));return e.destroy(),o}flush(){if(clearTimeout(this.timer),this.timer=void 0,this.destroyed||this.pending.length===
0)return;if(!this.arrived&&!this.room.objects.has(this.id)){this.timer=setTimeout(()=>this.flush(),Math.max(this.flushMs,100));return}let e=this.pending.length===
1?this.pending[0]:d.mergeUpdates(this.pending);this.pending=[],this.append(e)}append(e){if(this.room.role==="read"||this.room.status==="disconnected")return;this.
room.objects.has(this.id)||this.room.batch(()=>this.room.objects.create({id:this.id,kind:this.kind}),{undo:!1});let t=this.entriesOf(e).map(n=>this.log.append(n));
for(let n of t)this.follow(n);t.length>1&&this.check(t)}entriesOf(e){let t=Math.floor((this.room.limits.max_message_bytes-E)/4*3)-64;return e.length<t?[y(e)]:m(
e,t)}follow(e){this.unacked++,this.synced=!1;let t=n=>{this.unacked--,n||(this.lacking=!0),this.settle()};e.done.then(({status:n})=>t(n!=="ignored"||!this.room.
objects.has(this.id)),({code:n})=>{n==="too-large"?this.compact().then(()=>t(!1)):t(["forbidden","unknown-type","closed","bad-message"].includes(n))})}async check(e){
let n=(await Promise.allSettled(e.map(s=>s.done))).flatMap(s=>s.status==="fulfilled"?s.value.seq:[]),o=new Set(this.log.entries.map(({seq:s})=>s));n.some(s=>s>0&&
!o.has(s))&&this.lack()}get isFull(){let{entries:e}=this.log;if(e.length>=this.compactEntries)return!0;let t=e.reduce((n,{data:o})=>n+o.length,0);return e.length>
1&&t>b&&t>1.5*d.encodeStateAsUpdate(this.doc).length}compactSoon(){if(this.destroyed||this.compactTimer!==void 0||this.compacting||this.log.entries.length<2)return;
let t=[...this.room.others.filter(({away:n})=>!n).map(({client:n})=>n),this.room.client].sort().indexOf(this.room.client);this.compactTimer=setTimeout(()=>{this.
compactTimer=void 0,this.arrived&&this.isFull&&this.compact()},100+Math.min(t,3)*A)}async compact(){if(this.destroyed||this.compacting||this.room.role==="read")
return;let e=this.log.entries.filter(({seq:t})=>t<this.pieces.firstOpen).at(-1)?.seq;if(e!==void 0){this.compacting=!0;try{let t=this.entriesOf(d.encodeStateAsUpdate(
this.doc));if(t.length===1)await this.log.compact(e,t[0]).done;else{let n=t.map(s=>this.log.append(s));(await Promise.all(n.map(s=>s.done))).every(({status:s})=>s===
"ok")&&await this.log.compact(e).done}}catch{}finally{this.compacting=!1}}}};export{g as ScumbleProvider};
//# sourceMappingURL=yjs.js.map
