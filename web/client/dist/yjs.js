/* scumble-client 0.2.0, MIT OR Apache-2.0 */
import*as o from"yjs";function p(h){let t=new Uint8Array(h.length+1);return t[0]=0,t.set(h,1),t}function f(h,t){let e=Math.max(1,t-13),i=Math.ceil(h.length/e);if(i>65535)throw new RangeError(
"the update is too large for messages of this server");let r=crypto.getRandomValues(new Uint8Array(8));return Array.from({length:i},(s,a)=>{let c=h.subarray(a*e,
(a+1)*e),n=new Uint8Array(13+c.length),d=new DataView(n.buffer);return n[0]=1,n.set(r,1),d.setUint16(9,a),d.setUint16(11,i),n.set(c,13),n})}var l=class{constructor(t=()=>performance.
now()){this.now=t}now;open=new Map;clear(){this.open.clear()}update({seq:t,data:e}){if(e[0]===0&&e.length>1)return e.subarray(1);if(e[0]!==1||e.length<=13)return;
let i=new DataView(e.buffer,e.byteOffset,e.byteLength),r=e.subarray(1,9).join("."),s=i.getUint16(9),a=i.getUint16(11),c=this.open.get(r);if(s>=a||c&&c.parts.length!==
a)return;let n=c??{parts:Array.from({length:a},()=>{}),first:t,since:this.now(),missing:a};if(n.first=Math.min(n.first,t),n.parts[s]||(n.parts[s]=e.subarray(13),
n.missing--),n.missing>0){this.open.set(r,n);return}return this.open.delete(r),m(n.parts)}get firstOpen(){return[...this.open.values()].filter(({since:e})=>this.
now()-e<6e5).reduce((e,i)=>Math.min(e,i.first),1/0)}};function m(h){let t=new Uint8Array(h.reduce((i,{length:r})=>i+r,0)),e=0;for(let i of h)t.set(i,e),e+=i.length;
return t}var y=512,g=64*1024,v=5e3,u=class{constructor(t,e,i,r={}){this.room=t;this.id=e;this.doc=i;this.kind=r.kind??"yjs",this.flushMs=r.flushMs??30,this.compactEntries=
r.compactEntries??200,this.log=t.log(e);let s=(n,d)=>{d!==this&&this.changed(n)},a=()=>this.destroy();i.on("update",s),i.on("destroy",a);let c=()=>this.flush();
globalThis.addEventListener?.("pagehide",c),this.stops.push(()=>i.off("update",s),()=>i.off("destroy",a),()=>globalThis.removeEventListener?.("pagehide",c),this.
log.on("append",n=>this.heard(n)),this.log.on("compact",n=>this.heard(n)),this.log.on("reset",n=>this.restarted(n.entries)),t.on("sync",()=>this.settle()),t.on(
"objects",({changes:n})=>{n.some(d=>d.id===e&&d.type==="create")&&this.lack()})),this.restarted(this.log.entries),this.settle()}room;id;doc;synced=!1;log;flushMs;compactEntries;kind;pieces=new l;stops=[];waiting=new Set;pending=[];unacked=0;timer;compactTimer;compacting=!1;lacking=!0;destroyed=!1;whenSynced(){
return this.synced?Promise.resolve():new Promise(t=>this.waiting.add(t))}destroy(){if(!this.destroyed){this.flush(),this.destroyed=!0,clearTimeout(this.timer),clearTimeout(
this.compactTimer);for(let t of this.stops)t()}}heard({type:t,entries:e,own:i}){this.take(e),t==="append"&&!i&&this.settle(),this.compactSoon()}restarted(t){this.
pieces.clear(),this.take(t),this.lack(),this.compactSoon()}take(t){let e=t.flatMap(i=>this.pieces.update(i)??[]);e.length!==0&&this.doc.transact(()=>{for(let i of e)
o.applyUpdate(this.doc,i,this)},this)}lack(){this.lacking=!0,this.settle()}changed(t){this.pending.push(t),this.synced=!1,this.timer??=setTimeout(()=>this.flush(),
this.flushMs)}get arrived(){return this.room.sync==="synchronized"&&this.room.status==="connected"}settle(){if(!(this.destroyed||!this.arrived||this.pending.length>
0||this.unacked>0)){if(this.lacking){this.lacking=!1;let t=this.missing();if(t)return this.append(t)}this.synced=!0;for(let t of this.waiting)t();this.waiting.clear()}}missing(){
let t=new o.Doc,e=new l;for(let s of this.log.entries){let a=e.update(s);a&&o.applyUpdate(t,a)}let r=o.equalSnapshots(o.snapshot(this.doc),o.snapshot(t))?void 0:
o.encodeStateAsUpdate(this.doc,o.encodeStateVector(t));return t.destroy(),r}flush(){if(clearTimeout(this.timer),this.timer=void 0,this.destroyed||this.pending.length===
0)return;if(!this.arrived&&!this.room.objects.has(this.id)){this.timer=setTimeout(()=>this.flush(),Math.max(this.flushMs,100));return}let t=this.pending.length===
1?this.pending[0]:o.mergeUpdates(this.pending);this.pending=[],this.append(t)}append(t){if(this.room.role==="read"||this.room.status==="disconnected")return;this.
room.objects.has(this.id)||this.room.batch(()=>this.room.objects.create({id:this.id,kind:this.kind}),{undo:!1});let e=this.entriesOf(t).map(i=>this.log.append(i));
for(let i of e)this.follow(i);e.length>1&&this.check(e)}entriesOf(t){let e=Math.floor((this.room.limits.max_message_bytes-y)/4*3)-64;return t.length<e?[p(t)]:f(
t,e)}follow(t){this.unacked++,this.synced=!1;let e=i=>{this.unacked--,i||(this.lacking=!0),this.settle()};t.done.then(({status:i})=>e(i!=="ignored"||!this.room.
objects.has(this.id)),({code:i})=>{i==="too-large"?this.compact().then(()=>e(!1)):e(["forbidden","unknown-type","closed","bad-message"].includes(i))})}async check(t){
let i=(await Promise.allSettled(t.map(s=>s.done))).flatMap(s=>s.status==="fulfilled"?s.value.seq:[]),r=new Set(this.log.entries.map(({seq:s})=>s));i.some(s=>s>0&&
!r.has(s))&&this.lack()}get isFull(){let{entries:t}=this.log;if(t.length>=this.compactEntries)return!0;let e=t.reduce((i,{data:r})=>i+r.length,0);return t.length>
1&&e>g&&e>1.5*o.encodeStateAsUpdate(this.doc).length}compactSoon(){if(this.destroyed||this.compactTimer!==void 0||this.compacting||this.log.entries.length<2)return;
let e=[...this.room.others.filter(({away:i})=>!i).map(({client:i})=>i),this.room.client].sort().indexOf(this.room.client);this.compactTimer=setTimeout(()=>{this.
compactTimer=void 0,this.arrived&&this.isFull&&this.compact()},100+Math.min(e,3)*v)}async compact(){if(this.destroyed||this.compacting||this.room.role==="read")
return;let t=this.log.entries.filter(({seq:e})=>e<this.pieces.firstOpen).at(-1)?.seq;if(t!==void 0){this.compacting=!0;try{let e=this.entriesOf(o.encodeStateAsUpdate(
this.doc));if(e.length===1)await this.log.compact(t,e[0]).done;else{let i=e.map(s=>this.log.append(s));(await Promise.all(i.map(s=>s.done))).every(({status:s})=>s===
"ok")&&await this.log.compact(t).done}}catch{}finally{this.compacting=!1}}}};export{u as ScumbleProvider};
//# sourceMappingURL=yjs.js.map
