/* scumble-client 0.2.0, MIT OR Apache-2.0 */
var Bn=/\p{Surrogate}/u;function p(r,e,t){e==="__proto__"?Object.defineProperty(r,e,{value:t,enumerable:!0,configurable:!0,writable:!0}):r[e]=t}function u(r){return typeof r==
"object"&&r!==null&&!Array.isArray(r)}function jt(r){return Bn.test(r)?r.replace(/\p{Surrogate}/gu,"\uFFFD"):r}function _(r,e=15){try{return ee(r,e,0)}catch(t){
let n=At(r,e,0).slice(0,120);throw n&&t instanceof TypeError?new TypeError(`${t.message} (at ${n})`):t}}function At(r,e,t){if(typeof r!="object"||r===null||t>=e)
return"";for(let n of Array.isArray(r)?r.keys():Object.keys(r)){let s=r[n];if(!(s===void 0&&!Array.isArray(r)))try{ee(s,e,t+1)}catch{let i=At(s,e,t+1);return`${typeof n==
"number"?`[${n}]`:n}${i&&!i.startsWith("[")?".":""}${i}`}}return""}function ee(r,e,t){switch(typeof r){case"string":return jt(r);case"boolean":return r;case"num\
ber":if(Number.isFinite(r))return r;throw new TypeError(`${r} cannot be sent: numbers must be finite`);case"object":if(r===null)return null;if(t>=e)throw new TypeError(
`nesting is at most ${e} levels`);return Array.isArray(r)?Array.from(r,n=>ee(n,e,t+1)):Un(r,e,t);default:throw new TypeError(`${r===void 0?"undefined":`a ${typeof r}`}\
 cannot be sent: JSON has none`)}}function Un(r,e,t){let n=Object.getPrototypeOf(r);if(n!==null&&Object.getPrototypeOf(n)!==null)throw new TypeError("only plain\
 objects and arrays can be sent");let s={};for(let[i,o]of Object.entries(r))o!==void 0&&p(s,jt(i),ee(o,e,t+1));return s}function M(r,e,t=15){if(!u(r))throw new TypeError(
`${e} must be an object`);return _(r,t)}function T(r,e){if(!u(e))return e;let t=u(r)?{...r}:{};for(let n of Object.keys(e)){let s=e[n];s!==void 0&&(s===null?delete t[n]:
p(t,n,u(s)?T(v(t,n),s):s))}return t}function v(r,e){return Object.hasOwn(r,e)?r[e]:void 0}function H(r,e){let t={...r};for(let n of Object.keys(e)){let s=e[n];if(s===
void 0)continue;let i=v(r,n);if(i===void 0||!u(s)){p(t,n,s);continue}let o=u(i)?H(i,s):void 0;if(o===void 0)return;p(t,n,o)}return t}function K(r,e){let t={};for(let n of Object.
keys(r))Object.hasOwn(e,n)||p(t,n,null);for(let n of Object.keys(e)){let[s,i]=[v(r,n),e[n]];i!==void 0&&p(t,n,u(s)&&u(i)?K(s,i):i)}return t}function _t(r,e){let t=Object.
keys(r);return t.length===Object.keys(e).length&&t.every(n=>Object.hasOwn(e,n)&&r[n]===e[n])}function j(r,e){if(r===e)return!0;if(typeof r!="object"||typeof e!=
"object"||r===null||e===null||Array.isArray(r)!==Array.isArray(e))return!1;let t=Object.keys(r);return t.length===Object.keys(e).length&&t.every(n=>Object.hasOwn(
e,n)&&j(r[n],e[n]))}function F(r,e){let t={};for(let n of Object.keys(e)){let[s,i]=[v(r,n),e[n]];if(i===void 0||j(s??null,i))continue;let o=u(s)&&u(i)?F(s,i):void 0;
o===void 0?p(t,n,i):Object.keys(o).length>0&&p(t,n,o)}return t}var Ve=512,Mt=64,te=32,Tt=4e3,Ln=64,B=64,U={max_message_bytes:256*1024,cursor_interval_ms:33,ops_per_s:0,max_objects:Number.MAX_SAFE_INTEGER,max_clients:Number.
MAX_SAFE_INTEGER,max_canvas_bytes:Number.MAX_SAFE_INTEGER,max_json_depth:16,max_state_bytes:8*1024},Dn=new TextEncoder;function k(r,e){return r.length*3<=e||Dn.
encode(r).length<=e}function C(r,e,t){if(typeof r!="string")throw new TypeError(`${e} must be a string`);let n=[...r].length;if(n<1||n>t)throw new RangeError(`${e}\
 must have 1 to ${t} characters`);return _(r)}function A(r,e,t){let n=Object.keys(r).find(s=>!e.includes(s));if(n!==void 0)throw new TypeError(`${t} has no ${JSON.
stringify(n)}, but ${e.join(", ")}`)}function ne(r){return C(r,"event",Ln)}function se(r){if(!u(r))throw new TypeError("user must be an object");A(r,["name","co\
lor","vouched"],"user");let e={};for(let t of["name","color"]){let n=r[t];if(n!==void 0){if(typeof n!="string")throw new TypeError(`user.${t} must be a string`);
if([...n].length>B)throw new RangeError(`user.${t} must have at most ${B} characters`);e[t]=_(n)}}return e}function It(r){if(typeof r!="number")throw new TypeError(
"replyTo must be a number");if(!Number.isSafeInteger(r)||r<1)throw new RangeError("replyTo must be a whole number from 1");return r}function re(r){if(typeof r!=
"string")throw new TypeError("a token must be a string, or a function that gives one");return r}async function Ct(r,e){let t=await fetch(r,{mode:e,redirect:"manual",cache:"no-store",credentials:"omit",signal:AbortSignal.timeout(1900)}),{status:n,type:s}=t;
return{status:n,type:s,text:n>=400?(await t.text()).slice(0,4096):""}}function qn(r){try{let{message:e}=JSON.parse(r);return typeof e=="string"?` (${e})`:""}catch{
return""}}function Rt({status:r,type:e,text:t}){if(e==="opaque")return"something answers there, but takes no WebSocket: is the path right?";if(e==="opaqueredire\
ct"||r>=300&&r<400)return"the server redirects to another address, which WebSockets do not follow: give that one as url";if(r===404||r===405||r<300)return`the s\
erver answers ${r}: there is no relay at this path`;if(r===401||r===407)return`the server answers ${r}: it asks for a login before it lets a WebSocket through`;
if(r===426)return"the relay is there, but no WebSocket gets through to it: it is shutting down, or a proxy between does not pass upgrades on";let n=`the server \
answers ${r}${qn(t)}`;return r===403?`${n}: it lets nobody in from this address, or from this page's origin`:r===429?`${n}: too many attempts from this address`:
r>=500?`${n}: it, or what stands behind a proxy, takes nobody just now`:n}function $n(r){let e=r.cause?.code;return typeof e=="string"?` (${e})`:""}async function Pt(r){
if(globalThis.navigator?.onLine===!1)return"this device is offline";let e=r.replace(/^ws/,"http");try{return Rt(await Ct(e,"cors"))}catch(t){return typeof document>
"u"?`nothing answers there${$n(t)}`:await Ct(e,"no-cors").then(Rt,()=>"nothing answers there")}}function Jt(){try{new DecompressionStream("deflate-raw")}catch{return}return Wn}async function Wn(r,e){let t=new DecompressionStream("deflate-raw"),n=t.writable.
getWriter();n.write(r).catch(()=>{}),n.close().catch(()=>{});let s=t.readable.getReader(),i=[],o=0;for(;;){let{done:c,value:h}=await s.read();if(c)break;if(o+=h.
length,o>e)throw s.cancel().catch(()=>{}),new RangeError(`a compressed frame becomes more than ${e} bytes`);i.push(h)}let a=new Uint8Array(o),d=0;for(let c of i)
a.set(c,d),d+=c.length;return a}var Hn="ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-",Kn=21;function Fn(){let r=crypto.getRandomValues(new Uint8Array(Kn));return Array.from(
r,e=>Hn[e&63]).join("")}function Ye(r,e){let t=setTimeout(e,Math.min(r,2147483647));return()=>clearTimeout(t)}var zn=250;function Xn(r){if(typeof requestAnimationFrame!=
"function"||!Qe()||document.visibilityState!=="visible")return void Ye(16,r);let e=()=>{cancelAnimationFrame(n),t(),r()},t=Ye(zn,e),n=requestAnimationFrame(e)}var Qe=()=>typeof addEventListener==
"function"&&typeof document<"u";function Gn(r){if(!Qe())return()=>{};let e=new AbortController,{signal:t}=e,n=()=>{document.visibilityState==="visible"&&r.wakened()};
return addEventListener("online",()=>r.wakened(),{signal:t}),addEventListener("offline",()=>r.offline(),{signal:t}),addEventListener("pagehide",()=>r.left(),{signal:t}),
addEventListener("pageshow",s=>s.persisted&&r.cameBack(),{signal:t}),document.addEventListener("visibilitychange",n,{signal:t}),()=>e.abort()}function Nt(r){r.preventDefault()}
function Vn(r){Qe()&&(r?addEventListener("beforeunload",Nt):removeEventListener("beforeunload",Nt))}function Yn(r,e,t){let n=new AbortController,s=async()=>{let a=await fetch(
r,{method:e===void 0?"GET":"POST",...e!==void 0&&{body:e},cache:"no-store",credentials:"omit",redirect:"error",signal:n.signal});n.signal.aborted||t.status(a.status);
let d=a.body?.getReader(),c=new TextDecoder;for(;;){let{done:h,value:l}=await d?.read()??{done:!0,value:void 0};if(n.signal.aborted||h)return;t.piece(c.decode(l,
{stream:!0}))}},i=()=>{n.signal.aborted||t.ended()};return s().then(i,i),()=>n.abort()}function Bt(r,e=!0){let t=r??globalThis.WebSocket;if(!t&&e)throw new TypeError(
"there is no global WebSocket here: give one as options.WebSocket");return{now:()=>performance.now(),date:()=>Date.now(),random:()=>Math.random(),makeId:Fn,after:Ye,
nextFrame:Xn,openSocket:(n,s)=>{if(!t)throw new TypeError("there is no global WebSocket here");return new t(n,s.length===1?s[0]:[...s])},request:typeof fetch=="\
function"?Yn:void 0,inflate:Jt(),diagnose:Pt,watch:Gn,guard:Vn}}var Qn="scumble";var ie=r=>2e3+r*5;function Ut(){try{return typeof indexedDB<"u"&&indexedDB!==null}catch{return!1}}function oe(r){switch(r?.name){case"QuotaExceededError":return"the disk, or the \
part of it that this site may use, is full: free some space";case"VersionError":return"a newer version of this library has the storage: reload this page";case"S\
ecurityError":case"NotAllowedError":return"the browser's settings forbid this page to store anything";default:return String(r)}}function w(r,e,t=2e3){return new Promise(
(n,s)=>{let i=8,o,a=()=>{i-- >0?o=setTimeout(a,t/8):s(new Error(`${e} did not answer within ${t/1e3} s`))};a(),r.finally(()=>clearTimeout(o)).then(n,s)})}function O(r){
return new Promise((e,t)=>{r.onsuccess=()=>e(r.result),r.onerror=()=>t(r.error??new Error("IndexedDB failed"))})}function L(r){return new Promise((e,t)=>{r.oncomplete=
()=>e(),r.onabort=()=>t(r.error??new Error("IndexedDB aborted"))})}async function Ze(){let r=indexedDB.open(Qn,2);return r.onupgradeneeded=()=>{let e=r.result,t=(n,s)=>{
e.objectStoreNames.contains(n)||e.createObjectStore(n,{keyPath:s})};t("seats",["room","client"]),t("ops",["room","client","key"]),t("canvases","room"),t("object\
s",["room","id"])},O(r)}var S=(...r)=>IDBKeyRange.bound(r,[...r,[]]),z=()=>globalThis.navigator?.locks!==void 0;function D(r,e){let t=globalThis.navigator?.locks;
return t?new Promise(n=>{let s=!0,i=setTimeout(()=>{s=!1,n(void 0)},2e3),o=a=>{clearTimeout(i),s?n(a):a?.()};t.request(r,e,a=>a?new Promise(d=>o(d)):o(void 0)).
catch(()=>o(void 0))}):Promise.resolve(()=>{})}var Zn=16*1024*1024,es=8,Lt=300,ts=10,ns=3e4,et=3e4;async function Dt(r,e){let t=r.transaction(["canvases","objects"]),n=O(t.objectStore("canvases").get(e)),s=O(
t.objectStore("objects").getAll(S(e))),[i,o]=await Promise.all([n,s]),a=o.sort((l,b)=>l.place-b.place);if(!i)return;let{epoch:d,seq:c,chat:h}=i;return{epoch:d,seq:c,
chat:h,objects:a.map(({text:l})=>JSON.parse(l))}}async function q(r,e){let t=r.transaction(["canvases","objects"],"readwrite");return e===void 0?(t.objectStore(
"canvases").clear(),t.objectStore("objects").clear()):(t.objectStore("canvases").delete(e),t.objectStore("objects").delete(S(e))),w(L(t),"IndexedDB")}var ae=class{constructor(e,t,n,s,i){
this.room=e;this.writer=t;this.database=n;this.ground=s;this.problem=i;z()&&this.waitForTurn()}room;writer;database;ground;problem;timer;writing=!1;stopped=new AbortController;alone=!1;whole=!0;sizes=new Map;places=new Map;chars=0;nextPlace=1;written=-1;full=!1;waitForTurn(){
let{signal:e}=this.stopped;navigator.locks.request(`scumble:kept:${this.room}`,{signal:e},()=>(this.alone=!0,this.moved(),new Promise(t=>e.addEventListener("abo\
rt",()=>t())))).catch(()=>{})}moved(e=Lt){this.stopped.signal.aborted||this.timer!==void 0||this.writing||z()&&!this.alone||(this.timer=setTimeout(()=>{this.write()},
e))}leave(){this.timer!==void 0&&!this.checks&&this.write()}renewed(){this.whole=!0,this.moved()}stop(){clearTimeout(this.timer),this.stopped.abort()}async write(){
clearTimeout(this.timer),this.timer=void 0;let[e,t]=[this.database(),this.ground.position()];if(!e||!t||this.writing)return;this.writing=!0;let n=performance.now(),
s;try{s=await this.writeTo(e,t),this.chars>Zn&&await this.giveUp(e)}catch(o){this.whole=!0,s=et,o.name==="QuotaExceededError"&&(await q(e,this.room).catch(()=>{}),
this.full||this.problem(`the canvas is not kept on this device: ${oe(o)}`),this.full=!0)}this.writing=!1;let i=performance.now()-n;s!==void 0?this.moved(s):this.
ground.position()?.seq!==this.written&&this.moved(Math.max(Lt,i*ts))}giveUp(e){return this.stop(),q(e,this.room)}get checks(){return this.whole||!this.alone}async writeTo(e,{
epoch:t,seq:n}){let s=e.transaction(["canvases","objects"],"readwrite"),i=w(L(s),"IndexedDB",ns);i.catch(()=>{});let o=s.objectStore("canvases"),{whole:a,checks:d}=this;
if(d){let c=await w(O(o.get(this.room)),"IndexedDB"),h=c!==void 0&&c.writer!==this.writer,l=Math.abs(Date.now()-(c?.at??0));if(h&&c.epoch===t&&c.seq>=n)return i.
then(()=>{this.written=n});if(h&&c.epoch===t&&!this.alone&&l<et)return i.then(()=>et-l);this.whole||=h||!c}this.put(s.objectStore("objects"),this.ground.take(),
this.whole),o.put({room:this.room,epoch:t,seq:n,chat:this.ground.chat(),writer:this.writer,at:Date.now()}),s.commit(),await i,this.written=n,this.whole=this.full=
!1,a&&await ss(e,this.room)}put(e,t,n){if(n||t.all){e.delete(S(this.room)),this.sizes.clear(),this.places.clear(),this.chars=0,this.nextPlace=1;for(let s of this.
ground.objects())this.putRow(e,s);return}for(let s of t.made)this.places.set(s,this.nextPlace++);for(let s of t.ids){let i=this.ground.get(s);i?this.putRow(e,i):
this.drop(e,s)}}putRow(e,t){let{id:n}=t,s=JSON.stringify(t),i=this.places.get(n)??this.nextPlace++;this.chars+=s.length-(this.sizes.get(n)??0),this.sizes.set(n,
s.length),this.places.set(n,i),e.put({room:this.room,id:n,place:i,text:s})}drop(e,t){this.chars-=this.sizes.get(t)??0,this.sizes.delete(t),this.places.delete(t),
e.delete([this.room,t])}};async function ss(r,e){let n=(await w(O(r.transaction("canvases").objectStore("canvases").getAll()),"IndexedDB")).filter(s=>s.room!==e).
sort((s,i)=>i.at-s.at);for(let{room:s}of n.slice(es-1))await q(r,s)}var X=(r,e)=>`scumble:${r}:${e}`;async function tt({room:r,client:e,makeId:t}){let n={client:e??t(),nextOp:1},s=await D(X(r,n.client),{ifAvailable:!0});return{identity:n,
release:s??(()=>{})}}async function qt(r,e){let{room:t}=e,n=e.client===void 0?e.shelf?.take():{client:e.client,nextOp:1};if(n){let o=await D(X(t,n.client),{signal:AbortSignal.
timeout(2e3)});if(o)return{identity:n,release:o}}let s=z()?is(r,t):Promise.resolve(void 0);return await w(s,"IndexedDB").catch(o=>{throw s.then(a=>a?.release(),
()=>{}),o})??tt({...e,client:void 0})}async function is(r,e){let t=await O(r.transaction("seats").objectStore("seats").getAll(S(e)));for(let{client:n,nextOp:s}of t){
let i=await D(X(e,n),{ifAvailable:!0});if(!i)continue;if(await O(r.transaction("ops").objectStore("ops").count(S(e,n)))>0)return{identity:{client:n,nextOp:s},release:i};
await O(r.transaction("seats","readwrite").objectStore("seats").delete([e,n])),i()}}var de=2**20,$t=250,os=3e4,as=4;async function Wt(r){let e=Ze();e.catch(()=>{});let t,n;try{t=await ds(await w(e,"IndexedDB"),r)}catch(c){n=c,t={db:void 0,entries:[],
kept:void 0,...await tt(r)}}let s=new nt(r,t),{identity:{client:i,nextOp:o},entries:a,kept:d}=t;return n===void 0?await s.written():s.failed(n,e),{store:s,loaded:{
client:i,nextOp:o,entries:a,...d&&{kept:d}}}}async function ds(r,e){let{room:t}=e,{identity:n,release:s}=await qt(r,e),{client:i}=n,[o,a]=await cs(r,t,i).catch(
h=>{throw s(),h}),d=Math.max(n.nextOp,o?.nextOp??1),c=await w(Dt(r,t),"IndexedDB").catch(()=>{});return{db:r,identity:{client:i,nextOp:d},release:s,entries:a.map(
h=>h.entry),kept:c}}async function cs(r,e,t){let n=r.transaction(["seats","ops"]),s=O(n.objectStore("seats").get([e,t])),i=S(e,t),[o,a]=await w(Promise.all([s,O(
n.objectStore("ops").count(i))]),"IndexedDB"),d=O(r.transaction("ops").objectStore("ops").getAll(i));return[o,await w(d,"IndexedDB",ie(a))]}var nt=class{constructor(e,t){
this.options=e;this.identity=t.identity,this.release=t.release,this.reserve=t.identity.nextOp+de,this.durable=t.db!==void 0;for(let n of t.entries)this.held.set(
n.key,n);t.db&&this.attach(t.db),this.writeSeat()}options;durable;db;identity;release;reserve;held=new Map;writes=new Map;urgent=!1;begun=!1;underWay=0;latest=Promise.
resolve();keeper;opening=0;reopenMs=$t;timer;closed=!1;attach(e){this.db=e;let t=n=>{this.db===e&&this.failed(new Error(n))};e.onclose=()=>t("the browser closed\
 the storage of this page"),e.onversionchange=()=>t("another page changes or deletes the storage")}failed(e,t){let{db:n}=this;this.db=void 0,this.writes.clear();
try{n?.close()}catch{}this.closed||((this.durable||t)&&this.options.problem(`unsaved changes do not outlive this page: ${oe(e)}. It is tried again`),this.durable=
!1,this.options.changed(),t&&this.await(t),this.reopenLater(e?.name==="QuotaExceededError"))}reopenLater(e=!1){clearTimeout(this.timer),!(this.closed||this.db)&&
(this.timer=setTimeout(()=>{this.opening<as&&this.await(Ze(),e),this.reopenLater(e)},this.reopenMs),this.reopenMs=Math.min(os,this.reopenMs*2))}await(e,t=!1){this.
opening++,e.then(n=>this.reopened(n,t)).catch(()=>{}).finally(()=>this.opening--)}async reopened(e,t){if(this.closed||this.db)return e.close();this.attach(e),clearTimeout(
this.timer),t&&await q(e).catch(()=>{});try{await this.writeAll(e)}catch(n){this.db===e&&this.failed(n);return}this.db===e&&(this.durable=!0,this.reopenMs=$t,this.
options.changed(),this.begin(),this.keeper?.renewed())}writeAll(e){let{room:t}=this.options,{client:n}=this.identity,s=e.transaction(["seats","ops"],"readwrite"),
i=s.objectStore("ops");i.delete(S(t,n));for(let o of this.held.values())i.put({room:t,client:n,key:o.key,entry:o});return s.objectStore("seats").put({room:t,client:n,
nextOp:this.reserve}),w(L(s),"IndexedDB",ie(this.held.size))}written(){return this.begin(),this.latest}save(e){let{room:t}=this.options,{client:n}=this.identity;
this.held.set(e.key,e),this.write("ops",[t,n,e.key],{room:t,client:n,key:e.key,entry:e})}forget(e){this.held.delete(e.key),this.write("ops",[this.options.room,this.
identity.client,e.key],void 0)}numbered(e){this.identity={client:this.identity.client,nextOp:e},!(e<this.reserve-de/2)&&(this.reserve=e+de,this.writeSeat())}writeSeat(){
let{room:e}=this.options,{client:t}=this.identity;this.write("seats",[e,t],{room:e,client:t,nextOp:this.reserve})}write(e,t,n){this.db&&(this.writes.set(`${e}/${t.
join("/")}`,{table:e,key:t,value:n}),this.urgent||=n!==void 0,!(this.begun||this.underWay>0&&!this.urgent)&&(this.begun=!0,Promise.resolve().then(()=>this.begin())))}begin(){
this.begun=this.urgent=!1;let{db:e}=this;this.writes.size===0||!e||(this.underWay++,this.latest=this.writeBatch(e).catch(t=>{this.db===e&&this.failed(t)}).then(
()=>{this.underWay--,this.underWay===0&&this.begin()}))}async writeBatch(e){let t=this.writes;this.writes=new Map;let n=e.transaction(["seats","ops"],"readwrite");
for(let{table:i,key:o,value:a}of t.values()){let d=n.objectStore(i);a===void 0?d.delete(o):d.put(a)}let s=L(n);return n.commit(),w(s,"IndexedDB",ie(t.size))}async changeClient(e,t){
let{room:n}=this.options,s=this.identity.client,i=this.release;this.release=await D(X(n,e),{ifAvailable:!0})??(()=>{}),this.identity={client:e,nextOp:1},this.reserve=
1+de;for(let o of t)this.write("ops",[n,s,o.key],void 0),this.save(o);this.writeSeat(),await this.written(),i()}follow(e){let{room:t,makeId:n,problem:s}=this.options;
this.keeper=new ae(t,n(),()=>this.db,e,s)}moved(){this.keeper?.moved()}refused(){this.keeper?.stop(),this.db&&q(this.db,this.options.room).catch(()=>{})}leave(){
this.keeper?.leave(),this.options.shelf?.put(this.identity)}comeBack(){this.options.shelf?.take()}close(){this.leave(),this.closed=!0,this.keeper?.stop(),clearTimeout(
this.timer),this.written().then(()=>{this.db?.close(),this.release()})}};var Ht=200,Kt=24,hs=new TextDecoder("utf-8",{fatal:!0,ignoreBOM:!0}),us=new TextEncoder,st=Array.from({length:512},()=>{});function Ft(r){let e=new rt;return e.
value(r),e.bytes.slice(0,e.at)}var rt=class{bytes=new Uint8Array(256);at=0;view=new DataView(this.bytes.buffer);room(e){let{at:t}=this;if(this.at+=e,this.at>this.
bytes.length){let n=new Uint8Array(Math.max(this.at,this.bytes.length*2));n.set(this.bytes),this.bytes=n,this.view=new DataView(n.buffer)}return t}value(e){if(e===
null)this.byte(192);else if(typeof e=="boolean")this.byte(e?195:194);else if(typeof e=="number")this.number(e);else if(typeof e=="string")this.text(e);else if(Array.
isArray(e)){this.head(e.length,144,15,220);for(let t of e)this.value(t)}else{let t=Object.entries(e).filter(([,n])=>n!==void 0);this.head(t.length,128,15,222);for(let[
n,s]of t)this.text(n),this.value(s)}}byte(e){let t=this.room(1);this.bytes[t]=e}head(e,t,n,s){if(e<=n)return this.byte(t|e);let i=e>65535;this.byte(i?s+1:s);let o=this.
room(i?4:2);i?this.view.setUint32(o,e):this.view.setUint16(o,e)}number(e){let t=Number.isSafeInteger(e)&&!Object.is(e,-0);if(t&&e>=-32&&e<128)return this.byte(e&
255);let n=t&&e===(e|0);this.byte(n?210:t?211:203);let s=this.room(n?4:8);if(n)return this.view.setInt32(s,e);if(!t)return this.view.setFloat64(s,e);this.view.setInt32(
s,Math.floor(e/2**32)),this.view.setUint32(s+4,e>>>0)}text(e){let t=us.encode(e);t.length<=31?this.byte(160|t.length):t.length<=255?(this.byte(217),this.byte(t.
length)):this.head(t.length,0,-1,218);let n=this.room(t.length);this.bytes.set(t,n)}};function ot(r){let e=new it(r),t=e.value(0);if(e.at!==r.length)throw new TypeError(
"bytes after the value");return t}var it=class{constructor(e){this.bytes=e;this.view=new DataView(e.buffer,e.byteOffset,e.byteLength)}bytes;at=0;view;value(e){if(e>
Ht)throw new RangeError(`more than ${Ht} levels`);let t=this.view.getUint8(this.at++);return t<128?t:t<144?this.map(t&15,e):t<160?this.array(t&15,e):t<192?this.
text(t&31):t>=224?t-256:this.long(t,e)}long(e,t){let{view:n}=this;switch(e){case 192:return null;case 194:return!1;case 195:return!0;case 196:return this.binary(
this.size(1),t);case 197:return this.binary(this.size(2),t);case 198:return this.binary(this.size(4),t);case 202:return n.getFloat32(this.past(4));case 203:return n.
getFloat64(this.past(8));case 204:return this.size(1);case 205:return this.size(2);case 206:return this.size(4);case 207:return this.size(4)*2**32+this.size(4);case 208:
return n.getInt8(this.past(1));case 209:return n.getInt16(this.past(2));case 210:return n.getInt32(this.past(4));case 211:return n.getInt32(this.past(4))*2**32+
this.size(4);case 217:return this.text(this.size(1));case 218:return this.text(this.size(2));case 219:return this.text(this.size(4));case 220:return this.array(
this.size(2),t);case 221:return this.array(this.size(4),t);case 222:return this.map(this.size(2),t);case 223:return this.map(this.size(4),t);default:throw new TypeError(
`0x${e.toString(16)} is no value that JSON has`)}}past(e){let{at:t}=this;return this.at+=e,t}size(e){let t=this.past(e);return e===1?this.view.getUint8(t):e===2?
this.view.getUint16(t):this.view.getUint32(t)}take(e){let t=this.past(e);if(this.at>this.bytes.length)throw new RangeError("the message is cut short");return t}binary(e,t){
if(t>1)throw new TypeError("a binary value within a message");return this.bytes.subarray(this.take(e),this.at)}text(e){let t=this.take(e);if(e<=Kt){let n="",s=t;
for(;s<this.at&&this.bytes[s]<128;)n+=String.fromCharCode(this.bytes[s++]);if(s===this.at)return n}return hs.decode(this.bytes.subarray(t,this.at))}name(e){let{
bytes:t}=this,n=t[this.at]^160;if(n>Kt){let d=this.value(e);if(typeof d!="string")throw new TypeError("a name must be a string");return d}let s=++this.at,i=t[s]+
31*t[s+n-1]+7*t[s+(n>>1)]+n&st.length-1,o=st[i];if(o?.bytes.length===n){let d=0;for(;d<n&&o.bytes[d]===t[s+d];)d++;if(d===n)return this.at=s+n,o.text}let a=this.
text(n);return st[i]={bytes:t.slice(s,this.at),text:a},a}array(e,t){let n=[];for(let s=0;s<e;s++)n.push(this.value(t+1));return n}map(e,t){let n={};for(let s=0;s<
e;s++)p(n,this.name(t+1),this.value(t+1));return n}};var zt={1:["ack","op","seq","status"],2:["object-create","seq","client","at","op","object"],3:["object-update","seq","client","at","op","id","patch"],4:["object\
-delete","seq","client","at","op","id"],5:["chat","seq","client","at","op","text","reply_to","user"],6:["broadcast","seq","client","at","op","event","data"],8:[
"presence","client","state","away"]},ls=7,Xt=9,ps=["client","x","y"],fs=["ok","dup","ignored"],ce=class{clients=new Map;message(e){if(!Array.isArray(e))return this.
named(e);let[t,...n]=e;if(t===ls)return{type:"cursor-batch",cursors:n.map(d=>this.cursor(d))};let s=typeof t=="number"&&Object.hasOwn(zt,t)?zt[t]:void 0;if(!s)return;
let[i,...o]=s,a=this.read(o,n);return a.type=i,i==="ack"&&(a.status=fs[a.status]??String(a.status)),i==="broadcast"&&(a.data??=null),a}named(e){if(!u(e))return e;
let t=e.type==="welcome"&&Array.isArray(e.users)?e.users:[];for(let n of e.type==="user-connected"?[e]:t)u(n)&&typeof n.n=="number"&&typeof n.client=="string"&&
this.clients.set(n.n,n.client);return e}cursor(e){if(!Array.isArray(e))throw new TypeError("a cursor must be an array");return this.read(ps,e)}read(e,t){let n={};
e.forEach((i,o)=>{let a=t[o];a!=null&&(n[i]=a)});let s=t[e.length];if(u(s))for(let[i,o]of Object.entries(s))p(n,i,o);if(typeof n.client=="number"){let i=this.clients.
get(n.client);if(i===void 0)throw new TypeError(`nobody has the number ${n.client}`);n.client=i}return n}};var ys=1024*1024,ms=1e5,bs=3e4,Gt="json",R={json:"scumble.v1",msgpack:"scumble.v1.msgpack"};function Vt(r){return r instanceof ArrayBuffer||ArrayBuffer.isView(r)?
r.byteLength:String(r).length}var he=class{constructor(e,t,n){this.env=e;this.encoding=t;this.handler=n}env;encoding;handler;waiting=[];unpacker=new ce;busy=!1;ended=!1;cancel;heard(e){
let t=ArrayBuffer.isView(e)?new Uint8Array(e.buffer,e.byteOffset,e.byteLength):e instanceof ArrayBuffer?new Uint8Array(e):String(e);this.busy?(this.waiting.push(
t),this.waiting.length>ms&&this.fail(new RangeError("too many messages behind a compressed one"),!0)):this.read(t)}end(){this.ended=!0,this.cancel?.(),this.waiting.
length=0}read(e){if(this.ended)return;let t;try{if(typeof e!="string"&&this.encoding==="json")return void this.inflate(e);if(t=typeof e=="string"?JSON.parse(e):
ot(e),typeof e!="string"&&Array.isArray(t)&&t[0]===Xt){if(!(t[1]instanceof Uint8Array))throw new TypeError("compressed messages must be bytes");return void this.
inflate(t[1])}t=this.plain(t)}catch(n){return this.fail(n,!1)}this.tell(t)}plain(e){return this.encoding==="msgpack"?this.unpacker.message(e):e}tell(e){e!==void 0&&
!this.ended&&this.handler.message(e)}async inflate(e){this.busy=!0;let t;try{if(!this.env.inflate)throw new TypeError("a binary frame that nobody asked for");this.
cancel=this.env.after(bs,()=>this.fail(new Error("a compressed frame could not be inflated in time"),!0));let n=await this.env.inflate(e,ys);if(this.cancel(),this.
ended)return;let s=this.encoding==="json"?JSON.parse(new TextDecoder("utf-8",{fatal:!0}).decode(n)):ot(n);if(!Array.isArray(s))throw new TypeError("compressed m\
essages must be a list");t=s.map(i=>this.plain(i))}catch(n){return this.cancel?.(),this.fail(n,!0)}for(let n of t)this.tell(n);for(this.busy=!1;this.waiting.length>
0&&!this.busy;)this.read(this.waiting.shift())}fail(e,t){this.ended||(this.end(),this.handler.garbled(e,t))}};var f=class extends Error{constructor(t,n,s){super(n);this.code=t;this.op=s}code;op;name="ScumbleError"};function at(r,e){let t={},n={};for(let s of Object.keys(e)){let[i,o]=[v(r,s),e[s]];if(o!==void 0)if(u(i)&&u(o)){let a=at(i,o);p(t,s,a.before),p(n,s,a.after)}else
p(t,s,i??null),p(n,s,T(void 0,o))}return{before:t,after:n}}var ue=(r,e)=>u(r)&&u(e);function G({before:r,after:e},t=[]){return Object.keys(e).flatMap(n=>{let[s,
i]=[v(r,n),v(e,n)],o=[...t,n];return ue(s,i)?G({before:s,after:i},o):[o]})}function dt(r,e=[]){return Object.keys(r).flatMap(t=>{let n=r[t];if(n===void 0)return[];
let s=[...e,t];return u(n)&&Object.keys(n).length>0?dt(n,s):[[s,n]]})}function y(r,e){let t=r;for(let n of e){if(!u(t))return;t=v(t,n)}return t}function g(r,e,t,n=!1){
let[s,...i]=e,o={...r},a=v(r,s),d=i.length>0?g(u(a)?a:{},i,t,n):t;return d===void 0||d===null&&!n?delete o[s]:p(o,s,d),o}function le({before:r,after:e},t){for(let n=1;n<=
t.length;n++){let s=t.slice(0,n),[i,o]=[y(r,s),y(e,s)];if(o===void 0)return;if(n===t.length||!ue(i,o))return s}}var Yt=(r,e)=>le(r,e)!==void 0;function ct(r,e,t){
let n=le(r,e);if(!n||u(t)&&Object.keys(t).length===0&&u(y(r.before,e)))return r;if(n.length===e.length){let o=ue(y(r.before,n),y(r.after,n))&&!u(t)?g(r.after,n,
T(void 0,y(r.after,n)),!0):r.after;return{before:g(r.before,n,t??null,!0),after:o}}let s=y(r.before,n);return{...r,before:g(r.before,n,g(u(s)?s:{},e.slice(n.length),
t),!0)}}function Qt(r,e){let t=le(r,e);return t?{before:g(r.before,t,void 0),after:g(r.after,t,void 0)}:r}function Zt(r,e){let{before:t,after:n}=r;for(let s of G(
e)){let i=le(r,s);if(i&&(i.length!==s.length||ue(y(t,i),y(n,i))))return;i||(t=g(t,s,y(e.before,s),!0)),n=g(n,s,y(e.after,s),!0)}return{before:t,after:n}}var E=({unset:r,set:e,append:t})=>r!==void 0||e!==void 0||t!==void 0;function P(r){let e=[],t="";for(let n=0;n<=r.length;n++){let s=r[n];if(s===void 0||s==="."){
if(t==="")throw new RangeError(`${JSON.stringify(r)}: a path has no empty names`);e.push(t),t=""}else if(s==="\\"){let i=r[++n];if(i!=="."&&i!=="\\")throw new RangeError(
`${JSON.stringify(r)}: a backslash stands before a dot or a backslash only`);t+=i}else t+=s}return e}var $=Symbol("clash");function ht(r,e,t){let[n,...s]=e;if(n===
void 0)return t(r);if(r!==void 0&&!u(r))return $;let i=r??{},o=ht(v(i,n),s,t);if(o===$)return $;let a={...i};return p(a,n,o),a}function en(r,e){let[t,...n]=e,s=v(
r,t);if(s===void 0||n.length>0&&!u(s))return r;if(n.length>0){let i={...r};return p(i,t,en(s,n)),i}return Object.fromEntries(Object.entries(r).filter(([i])=>i!==
t))}function tn(r,e){return r===void 0?e:typeof r=="string"&&typeof e=="string"?r+e:Array.isArray(r)&&Array.isArray(e)?[...r,...e]:void 0}function ut(r,e){let t=T(
r,e.patch);if(!E(e))return t;let n=t;for(let s of e.unset??[])n=en(n,P(s));for(let[s,i]of Object.entries(e.set??{}))if(n=ht(n,P(s),()=>i),n===$)return r;for(let[
s,i]of Object.entries(e.append??{}))if(n=ht(n,P(s),o=>tn(o,i)??$),n===$)return r;return n}function J(r,e){if(!E(e))return e.patch;let t=ut(r,e),n=e.patch,s=d=>{
let[c,h]=[y(r,d),y(t,d)];n=g(n,d,u(c)&&u(h)?K(c,h):h??null,!0)},{unset:i=[],set:o={},append:a={}}=e;for(let d of[...i,...Object.keys(o),...Object.keys(a)])s(P(d));
return n}function nn(r,e){if(Object.keys(r.patch).length>0||Object.keys(e.patch).length>0||(r.set??r.unset??e.set??e.unset))return;let t={...r.append};for(let[n,
s]of Object.entries(e.append??{})){let i=tn(v(t,n),s);if(i===void 0)return;p(t,n,i)}return{patch:{},append:t}}function m(r){return r.type==="object-create"?r.object.id:r.type==="object-update"||r.type==="object-delete"?r.id:void 0}function lt({op:r,body:e}){let{type:t,...n}=e,
s=e.type==="object-update"&&E(e)&&Object.keys(e.patch).length===0;try{return JSON.stringify({type:t,op:r,...n,...s&&{patch:void 0}})}catch{return}}var W=class{constructor(e,t){this.entry=e;this.actions=t;this.renew(),e.error&&this.fail(e.error.code,e.error.message)}entry;actions;promise;resolve;reject;ended;get key(){
return this.entry.key}get type(){return this.entry.body.type}get objectId(){return m(this.entry.body)}get state(){return this.ended?"failed":this.entry.state}get error(){
return this.ended??this.entry.error}get refusals(){return this.entry.refusals}get done(){return this.promise}retry(){this.ended||this.entry.state!=="failed"||(this.
renew(),this.actions.retry(this.entry))}discard(){return this.actions.discard(this.entry)}settle(e){this.resolve(e)}fail(e,t){this.reject(new f(e,t,this))}end(e,t){
this.ended=(e==="discarded"?void 0:this.ended??this.entry.error)??{code:e,message:t},this.fail(e,t)}renew(){this.promise=new Promise((e,t)=>{this.resolve=e,this.
reject=t}),this.promise.catch(()=>{})}};function gs(r,e){if(e.type==="object-create")return j(r.get(e.object.id),e.object)?void 0:e;let t=e.type==="object-update"?r.get(e.id):void 0;if(!t||e.type!=="o\
bject-update"||E(e))return e;let n=F(t,e.patch);return Object.keys(n).length>0?{...e,patch:n}:void 0}function rn(r,e,t,n,s){let i=d=>{let c=gs(r,d);return c?e(c):
t(d)},o=(d,c)=>i({type:"object-update",id:a(d),patch:{},...c}),a=d=>C(d,"id",Mt);return{get size(){return r.size},get:d=>r.get(d),has:d=>r.get(d)!==void 0,ids:()=>r.
all().map(({id:d})=>d),values:()=>r.all().values(),[Symbol.iterator]:()=>r.all().values(),all:()=>r.all(),confirmed:d=>r.confirmed(d),create:d=>{let c=M(d,"an o\
bject",s()),h=c.id===void 0?n():a(c.id),l=C(c.kind,"kind",te);return i({type:"object-create",object:{...c,id:h,kind:l}})},update:(d,c)=>{let h=M(c,"a patch",s());
if(h.id!==void 0&&h.id!==d)throw new TypeError("a patch must not change the id");return h.kind!==void 0&&C(h.kind,"kind",te),i({type:"object-update",id:a(d),patch:h})},
set:(d,c)=>o(d,{set:sn(c,"values",s(),d)}),unset:(d,c)=>o(d,{unset:vs(c)}),append:(d,c)=>{let h=sn(c,"tails",s(),d);for(let[l,b]of Object.entries(h)){if(typeof b!=
"string"&&!Array.isArray(b))throw new TypeError(`${l}: only an array or a text can be appended`);if(l==="id"||l==="kind")throw new TypeError(`${l} can't be appe\
nded to`)}return o(d,{append:h})},delete:d=>i({type:"object-delete",id:a(d)})}}var pe=1e3;function sn(r,e,t,n){if(!u(r))throw new TypeError(`${e} must be an obj\
ect`);let s=M(r,e,t),i=Object.keys(s).map(o=>[o,JSON.stringify(P(o)).slice(0,-1)]);if(i.length>pe)throw new RangeError(`an update has at most ${pe} paths`);i.sort(
([,o],[,a])=>o<a?-1:1);for(let[o,[a,d]]of i.entries()){let c=i[o+1];if(c&&(c[1]===d||c[1].startsWith(`${d},`)))throw new RangeError(`${c[0]} is within ${a}`)}if(s.
id!==void 0&&s.id!==n)throw new TypeError("the id can't be changed");return s.kind!==void 0&&C(s.kind,"kind",te),s}function vs(r){let e=Array.isArray(r)?r:[r];if(e.
length>pe)throw new RangeError(`an update has at most ${pe} paths`);return e.map(t=>{if(typeof t!="string")throw new TypeError("a path must be a string");if(t===
"id"||t==="kind")throw new TypeError(`an object always has its ${t}`);return P(t),t})}function on(r,e){return{get messages(){return r.messages},send:(t,n)=>{if(t instanceof
W)return t.retry(),t;let s={type:"chat",text:C(t,"text",Tt)};u(n)&&A(n,["replyTo"],"send");let i=n?.replyTo;return e(i===void 0?s:{...s,reply_to:It(i)})}}}function an(r,e){let t=[],[n,s,i]=[!1,!1,!1],o=()=>{if(s=!1,i)return;let d={ids:[...new Set(t.map(({id:c})=>c))],changes:t,reset:n};t=[],n=!1,r(d)};return{hear:d=>{
for(let c of d.changes)t.push(c);n||=d.reset,!s&&(s=!0,e(o))},stop:()=>i=!0}}function ye(r){try{return String(r)}catch{return"something that has no text"}}var dn=["status","sync","objects","others","cursors","chat","broadcast","signal","\
outbox","history","storage","error"],fe=class{constructor(e){this.nextFrame=e}nextFrame;listeners=new Map;on(e,t,n={}){let{batch:s}=n;if(A(n,["batch"],"on"),!dn.
includes(e))throw new TypeError(`there is no event ${JSON.stringify(e)}, but ${dn.join(", ")}`);if(typeof t!="function")throw new TypeError(`a listener of "${e}\
" must be a function`);if(s===void 0)return this.add(e,t);if(s!=="frame"||e!=="objects")throw new TypeError('batch is "frame", and for "objects" only');let i=c=>this.
call(e,t,c),{hear:o,stop:a}=an(i,this.nextFrame),d=this.add("objects",o);return()=>(a(),d())}add(e,t){let n=this.listeners.get(e)??new Set;return this.listeners.
set(e,n),n.add(t),()=>n.delete(t)}tell(e,t){this.listeners.get(e)?.size&&this.emit(e,t())}emit(e,t){for(let n of[...this.listeners.get(e)??[]])this.call(e,n,t)}call(e,t,n){
try{t(n)}catch(s){e!=="error"&&this.emit("error",new f("listener",`a listener of "${e}" threw: ${ye(s)}`))}}};var ws={400:4400,403:4403,413:1009},Os=new TextEncoder;function me(r,e,t){let n=new URL(r);return n.protocol=n.protocol.replace("ws","http"),n.pathname=n.pathname.
replace(/\/ws\/([^/]*)$/,(s,i)=>`/sse/${i}${e===void 0?"":`/${e}`}`),t!==void 0&&n.searchParams.set("post",String(t)),n.href}var be=class{constructor(e,t,n,s){this.
env=e;this.request=t;this.url=n;this.cancelStream=t(me(n),s,{status:i=>{this.status=i,i===200&&this.onopen?.()},piece:i=>this.piece(i),ended:()=>this.end(1006,"")})}env;request;url;greeted=!0;protocol="\
scumble.v1";onopen=null;onmessage=null;onclose=null;onerror=null;session;queue=[];queuedBytes=0;flying;posted=0;budget=61440;asked=!1;pumping=!1;leaving=!1;over=!1;status=0;text="";searched=0;cancelStream;cancelPost;cancelTimer;cancelGoodbye;get bufferedAmount(){
return this.queuedBytes+(this.flying?.bytes??0)}send(e){if(this.over||this.leaving)throw new Error("the stream is closed");this.queue.push(e),this.queuedBytes+=
e.length,this.pump()}close(e){if(!this.over){if(this.onmessage=this.onopen=null,e!==1e3||this.session===void 0)return this.stop();this.leaving=!0,this.cancelGoodbye=
this.env.after(5e3,()=>this.stop())}}stop(){this.over=!0,this.queue.length=this.queuedBytes=0,this.flying=void 0,this.cancelStream(),this.cancelPost?.(),this.cancelTimer?.(),
this.cancelGoodbye?.()}end(e,t){this.over||(this.stop(),this.status!==200&&this.status!==0&&([e,t]=this.refusal(this.status,this.text)),this.onclose?.({code:e,reason:t}))}refusal(e,t){
try{let{error:n,message:s}=JSON.parse(t);if(typeof n=="string")return[ws[e]??1006,`the server answers ${e}: ${String(s)}`]}catch{}return[1006,`the server answer\
s ${e}`]}piece(e){if(this.over)return;if(this.status!==200){this.text=(this.text+e).slice(0,4096);return}this.text+=e;let t=0;for(;;){let n=this.text.indexOf(`

`,Math.max(t,this.searched-1));if(n<0)break;if(this.event(this.text.slice(t,n)),this.over)return;this.searched=t=n+2}this.text=this.text.slice(t),this.searched=
this.text.length,this.text.length>67108864&&this.end(1009,"an event without an end")}event(e){let t="",n="";for(let s of e.split(`
`))s.startsWith("data:")?n+=s.slice(5).trimStart():s.startsWith("event:")&&(t=s.slice(6).trim());switch(t){case"":n&&this.onmessage?.({data:n});return;case"sess\
ion":return this.session=this.field(n,"session"),this.pump();case"ping":return this.asked=!0,this.pump();case"taken":return this.taken(Number(n));case"close":return this.
end(Number(this.field(n,"code")),this.field(n,"reason"))}}field(e,t){try{return String(JSON.parse(e)[t]??"")}catch{return""}}pump(){this.pumping||(this.pumping=
!0,Promise.resolve().then(()=>{this.pumping=!1,this.next()}))}next(){if(this.over||this.flying||this.session===void 0||this.queue.length===0&&!this.asked)return;
this.asked=!1;let e=[],t=2;for(let s of this.queue){if(t+=Os.encode(s).length+1,e.length>0&&t>this.budget)break;e.push(s)}let n=e.reduce((s,i)=>s+i.length,0);this.
queue.splice(0,e.length),this.queuedBytes-=n,this.flying={number:++this.posted,messages:e,bytes:n,tries:0},this.post(this.flying)}post(e){if(this.over||this.session===
void 0)return;if(++e.tries>5)return this.end(1006,"nobody takes what is posted");this.cancelPost?.();let t=0,n=s=>this.retryIn(e,s);this.cancelPost=this.request(
me(this.url,this.session,e.number),`[${e.messages.join()}]`,{status:s=>t=s,piece:()=>{},ended:()=>{this.flying===e&&(t===410||t===404?this.end(1006,"the server \
does not know the stream any more"):t===413?this.shrink(e):n(t===202||t===409?4e3:500*e.tries))}}),n(3*4e3)}retryIn(e,t){this.cancelTimer?.(),this.cancelTimer=this.
env.after(t,()=>this.flying===e&&this.post(e))}shrink(e){if(e.messages.length<=1)return this.end(1009,"a message is larger than the server takes");this.budget=Math.
max(1,Math.floor(Math.min(this.budget,e.bytes)/2)),this.queue.unshift(...e.messages),this.queuedBytes+=e.bytes,this.flying=void 0,this.posted--,this.next()}taken(e){
this.flying?.number===e&&(this.cancelTimer?.(),this.flying=void 0,this.next())}};var ge=class{patienceMs=3e4;quick=!0;bytes=0;windowAt=0;heardAt=0;askedAt;doubtedUntil;buffered=0;get openWithinMs(){return 1e4*this.patienceMs/3e4}opened(e){this.
bytes=this.buffered=0,this.windowAt=this.heardAt=e,this.askedAt=this.doubtedUntil=void 0}heard(e,t){this.bytes+=e,this.heardAt=t,this.doubtedUntil=void 0}get asked(){
return this.askedAt!==void 0}ask(e,t,n){this.askedAt===void 0&&!t.joining&&(this.bytes=0,this.windowAt=e),this.askedAt??=e;let s=!t.joining&&t.unanswered<=4096&&
t.buffered===0;n!==void 0&&s&&this.quick&&(this.doubtedUntil=Math.min(this.doubtedUntil??1/0,e+n))}answered(e){this.askedAt!==void 0&&(this.quick=e-this.askedAt<=
1e3,this.askedAt=void 0)}arrived(){this.patienceMs=3e4}quietMs(e){return e-this.heardAt}get dueAt(){return Math.min(this.doubtedUntil??1/0,this.windowAt+this.patienceMs)}dead(e,t){
return this.buffered>0&&t.buffered>0&&(this.bytes+=Math.max(0,this.buffered-t.buffered)),this.buffered=t.buffered,this.doubtedUntil!==void 0&&e>=this.doubtedUntil?
(this.quick=!1,!0):!(t.joining||this.askedAt!==void 0)||this.bytes>=1024||!t.joining&&this.heardAt>this.windowAt?(this.bytes=0,this.windowAt=e,!1):e-this.windowAt<
this.patienceMs?!1:(this.gaveUp(t.joining),!0)}gaveUp(e){e&&(this.patienceMs=Math.min(3e5,this.patienceMs*2))}};var ve=class{constructor(e,t,n){this.env=e;this.url=t;this.tell=n}env;url;tell;cancel;told=!1;open=!1;closed;number=0;attempt(){if(this.told||this.cancel)return;
let{number:e}=this;this.cancel=this.env.after(2e3,()=>{if(!this.open)return void this.look(e);this.cancel=this.env.after(2e3,()=>{this.cancel=void 0,this.open&&
this.say("something takes the connection there, but has not said anything yet. It is waited for")})})}opened(){this.open=!0}lost(e,t){this.open&&(this.closed=`t\
he connection is closed before the server says anything (${e}${t&&`, ${t}`})`),this.open=!1}over(){this.cancel?.(),this.cancel=void 0,this.told=this.open=!1,this.
closed=void 0,this.number++}async look(e){let t=this.closed??await this.reason();e!==this.number||this.told||(this.cancel=void 0,!this.open&&this.say(`${t}. It \
is tried again`))}say(e){this.told=!0;let[t]=this.url.split("?");this.tell({code:"unreachable",message:`no connection to ${t}: ${e}`})}reason(){return new Promise(
e=>{this.env.after(2e3,()=>e("nothing answers there")),this.env.diagnose(this.url).then(e,()=>e("nothing answers there"))})}};function V(r){return typeof r=="number"&&r>0?Math.min(r,3e5):0}var we=class{constructor(e){this.abilities=e}abilities;attempt=0;notBefore=-1/0;welcomedAt;refusedTokens=0;replacedAt=[];welcomed(e){
this.welcomedAt=e,this.refusedTokens=0}stayAway(e,t){this.notBefore=Math.max(this.notBefore,t+e)}away(e){return Math.max(0,this.notBefore-e)}wakened(e){return this.
attempt=0,this.away(e)}closed(e,t,n,s){let i=this.welcomedAt===void 0?0:n-this.welcomedAt;this.welcomedAt=void 0,i>=5e3&&(this.attempt=0);let o=t?`: ${t}`:"";return e===
4401?this.unauthorized(o,n,s):e===4409?this.replaced(n,s):e===4413?(this.attempt=Math.max(this.attempt,4),{...this.wait(n,s),problem:{code:"full",message:t||"th\
e canvas or the server is full"}}):e===1009||e>=4400&&e<4500?{type:"stop",final:e!==4403||!this.abilities.hasToken(),code:"refused",message:`closed with ${e}${o}`}:
this.wait(n,s)}wait(e,t){let n=Math.min(1e4,250*2**this.attempt);return this.attempt++,{type:"wait",ms:Math.max(t*n,this.notBefore-e)}}unauthorized(e,t,n){return this.
refusedTokens++,!this.abilities.canRenewToken||this.refusedTokens>=3?{type:"stop",final:!1,code:"unauthorized",message:`the token is missing, wrong or expired${e}`}:
this.wait(t,n)}replaced(e,t){return this.replacedAt=this.replacedAt.filter(n=>e-n<6e4),this.replacedAt.push(e),!this.abilities.canChangeIdentity||this.replacedAt.
length>3?{type:"stop",final:!0,code:"replaced",message:"another connection uses the same client id"}:{...this.wait(e,t),newIdentity:!0}}};var Oe=class{constructor(e,t){this.wanted=e;this.ask=t}wanted;ask;current="websocket";blockedAt;reachable=!1;asking=!1;get chooses(){return this.wanted==="auto"&&
this.ask!==void 0}next(e){let t=this.blockedAt!==void 0&&e-this.blockedAt<3e5;return this.current=this.wanted==="sse"||this.chooses&&t?"sse":"websocket"}opened(){
this.reachable=!1,this.current==="websocket"&&(this.blockedAt=void 0)}failed(e){this.chooses&&(this.current==="sse"?(this.blockedAt=void 0,this.reachable=!1):this.
reachable||this.blockedAt!==void 0?(this.blockedAt=e,this.reachable=!1):this.look())}look(){this.asking||(this.asking=!0,this.ask?.(e=>{this.asking=!1,this.reachable=
e}))}get triesAgainInMs(){return this.chooses&&this.current==="sse"?3e5:void 0}tried(e,t){this.blockedAt=e?void 0:t}};var cn=15e3,pt=5e3,Ss=1e4,xs=1e3,js=5e3,As={code:"unreachable",message:"the canvas stopped coming half way: the server, or the line, brings nothing more. It is \
tried again"},_s=3,Ms=4e3,ke=class{constructor(e,t,n,s,i={}){this.env=e;this.url=t;this.handler=n;this.encoding=i.encoding??Gt,this.compress=i.compress!==!1&&e.
inflate!==void 0,this.policy=new we(s);let{request:o}=e;this.transports=new Oe(i.transport??"auto",o&&(a=>{let d=0;o(me(t),void 0,{status:c=>d=c,piece:()=>{},ended:()=>a(
d===405)})})),this.outage=new ve(e,t,a=>n.problem(a))}env;url;handler;status="connecting";stopped;socket;inbox;encoding;compress;spoken="json";policy;cancelRetry;liveness=new ge;outage;cancelOpening;cancelWatch;cancelGoaway;transports;cancelTrial;lookDueAt=0;lookedTwice=!1;heartbeatMs=cn;unfinished=0;ended=!1;opened=!1;generation=0;get bufferedBytes(){
return this.socket?.bufferedAmount??0}get transport(){return this.connected?this.transports.current:void 0}get connected(){return this.status==="connected"}connect(){
if(this.cancelRetry?.(),this.cancelRetry=void 0,this.ended||this.socket)return;let e=++this.generation;this.handler.token().then(t=>{e===this.generation&&!this.
ended&&this.open(this.handler.hello(t,this.compress?["deflate-raw"]:[]))},t=>{e!==this.generation||this.ended||(this.handler.problem({code:"unauthorized",message:`\
no token: ${ye(t)}`}),this.closed(1006,""))})}open(e){let t;try{t=this.lineFor(e)}catch(n){let s={code:"no-socket",message:`no connection could be made: ${ye(n)}`};
this.cancelRetry=this.env.after(0,()=>this.stop({...s,final:!0}));return}this.socket=t,t.binaryType="arraybuffer",t.onopen=()=>{t===this.socket&&(this.cancelOpening?.(),
this.transports.opened(),this.opened=!0,this.outage.opened(),this.liveness.opened(this.env.now()),this.spoken=t.protocol===R.msgpack?"msgpack":"json",this.inbox=
this.makeInbox(this.spoken),t.greeted||t.send(this.written(e)),this.watch())},t.onmessage=({data:n})=>{t===this.socket&&(this.liveness.heard(Vt(n),this.env.now()),
this.inbox?.heard(n))},t.onclose=({code:n,reason:s})=>{t===this.socket&&this.closed(n,s)},t.onerror=()=>{},this.outage.attempt(),this.cancelOpening=this.env.after(
this.liveness.openWithinMs,()=>{this.liveness.gaveUp(!0),this.drop()})}lineFor(e){let{request:t}=this.env;if(this.transports.next(this.env.now())==="websocket")
return this.env.openSocket(this.url,this.protocols);if(!t)throw new TypeError("there is no fetch here, which a stream of events needs");return new be(this.env,t,
this.url,e)}tryLater(){let{triesAgainInMs:e}=this.transports;this.cancelTrial?.(),e!==void 0&&(this.cancelTrial=this.env.after(e,()=>{let t=this.env.openSocket(
this.url,this.protocols),n=i=>{s(),this.cancelTrial=void 0,t.onopen=t.onclose=null,this.hangUp(t,1e3,""),this.transports.tried(i,this.env.now()),i?this.drop():this.
tryLater()},s=this.env.after(this.liveness.openWithinMs,()=>n(!1));this.cancelTrial=()=>{s(),t.onopen=t.onclose=null,t.close()},t.onopen=()=>n(!0),t.onclose=()=>n(
!1),t.onerror=()=>{}}))}get protocols(){return this.encoding==="json"?[R.json]:[R.msgpack,R.json]}written(e){return this.spoken==="json"?e:Ft(JSON.parse(e))}makeInbox(e){
return new he(this.env,e,{message:t=>this.handler.message(t),garbled:(t,n)=>{n?this.compress=!1:this.encoding="json",this.handler.garbled(t)}})}welcomed(e){this.
outage.over(),this.policy.welcomed(this.env.now()),this.heartbeatMs=e>0?e:cn,this.setStatus("connected"),this.tryLater()}arrived(){this.unfinished=0,this.liveness.
arrived()}ponged(){this.liveness.answered(this.env.now())}get line(){return{...this.handler.line(),buffered:this.bufferedBytes}}watch(e=Math.min(this.heartbeatMs,
pt)){this.cancelWatch?.();let t=this.env.now(),n=Math.min(e,Math.max(0,this.liveness.dueAt-t)||e);this.lookDueAt=t+n,this.cancelWatch=this.env.after(n,()=>this.
look())}look(){let e=this.env.now(),{line:t}=this,n=this.liveness.quietMs(e),s=e-this.lookDueAt>pt;if(this.lookedTwice=s&&n>pt&&!this.lookedTwice,this.lookedTwice)
return this.watch(xs);if(this.liveness.dead(e,t))return t.joining&&this.connected&&(this.handler.problem(As),this.unfinished=0),this.drop();(n>=2*this.heartbeatMs||
t.unanswered>0&&n>=Ss)&&!this.liveness.asked&&this.probe(),this.watch()}probe(e){if(!this.connected)return;let t=this.env.now(),{asked:n}=this.liveness;this.liveness.
ask(t,this.line,e),n||this.send(JSON.stringify({type:"ping",ts:Math.round(t)})),this.watch()}send(e){if(!this.connected||!this.socket)return!1;try{return this.socket.
send(this.written(e)),!0}catch{return!1}}offline(){this.probe(2e3)}drop(){let{socket:e}=this;e&&(this.opened||this.transports.failed(this.env.now()),this.detach(),
this.hangUp(e,Ms,"reconnecting"),this.closed(1006,""))}hangUp(e,t,n){e.terminate&&(e.onclose=this.env.after(js,()=>e.terminate?.())),e.close(t,n)}cut(e){this.policy.
stayAway(e,this.env.now()),this.socket?this.drop():!this.ended&&!this.stopped&&this.closed(1006,"")}goaway(e){let t=V(e);this.policy.stayAway(t,this.env.now()),
this.cancelGoaway?.(),this.cancelGoaway=this.env.after(t,()=>this.drop())}stayAway(e){this.connected||this.policy.stayAway(V(e),this.env.now())}wakened(){if(this.
connected)return this.probe(5e3);this.cancelRetry&&this.retryIn(this.policy.wakened(this.env.now()))}closed(e,t){let n=this.connected&&this.handler.line().joining&&
++this.unfinished===_s;this.socket&&!this.opened&&this.transports.failed(this.env.now()),this.detach(),this.outage.lost(e,t),this.handler.lost(e),n&&this.handler.
problem({code:"unreachable",message:`the connection ends again and again before the canvas is here (closed with ${e}): does a proxy end connections after a whil\
e? It is tried again`});let s=this.policy.closed(e,t,this.env.now(),this.env.random());if(s.type==="stop")return this.stop(s);this.setStatus(this.status==="conn\
ecting"?"connecting":"reconnecting"),s.problem&&(this.outage.over(),this.handler.problem(s.problem)),s.newIdentity?this.handler.newIdentity().then(()=>this.retryIn(
s.ms)):this.retryIn(s.ms)}retryIn(e){this.cancelRetry?.(),!(this.ended||this.stopped)&&(this.cancelRetry=this.env.after(Math.max(e,this.policy.away(this.env.now())),
()=>this.connect()))}stop(e){this.cancelRetry=void 0,this.outage.over(),this.stopped=e,e.final&&this.handler.ended(e),this.setStatus("disconnected"),this.handler.
problem(e)}detach(){this.generation++,this.socket=void 0,this.opened=!1,this.cancelTrial?.(),this.cancelTrial=void 0,this.inbox?.end(),this.inbox=void 0,this.cancelOpening?.(),
this.cancelWatch?.(),this.cancelGoaway?.()}restart(){this.ended||this.stopped?.final||(this.stopped=void 0,this.drop(),this.status==="disconnected"&&this.setStatus(
"reconnecting"),this.retryIn(this.policy.wakened(this.env.now())))}close(){if(this.ended)return;this.send('{"type":"bye"}'),this.ended=!0;let{socket:e}=this;this.
detach(),this.outage.over(),this.cancelRetry?.(),e&&this.hangUp(e,1e3,"bye"),this.handler.lost(1e3),this.setStatus("disconnected")}setStatus(e){e!==this.status&&
(this.status=e,this.handler.status(e))}};var Ts={type:"told"},hn=r=>r.type==="emit"&&r.event==="objects",Ee=class{constructor(e){this.carryOut=e}carryOut;waiting=[];running=!1;done=0;told=0;run(e,t){for(let n of e)
this.waiting.push(n);if(this.running)return t&&this.tellObjects(),!1;this.running=!0;try{for(;this.done<this.waiting.length;)this.carryOut(this.waiting[this.done++])}finally{
this.waiting.splice(0,this.done),this.done=this.told=0,this.running=!1}return!0}tellObjects(){for(this.told=Math.max(this.told,this.done);this.told<this.waiting.
length;){let e=this.waiting[this.told];hn(e)&&(this.waiting[this.told]=Ts),this.told++,hn(e)&&this.carryOut(e)}}};var un=300,Is=3e3,Cs=6e4,Rs=33,Ps=1e3,Js=16*1024,Ns=50,Bs=["type","client","hidden"],Se=class{tracks=new Map;receive(e,t,n,s=0){let{x:i,y:o,client:a,hidden:d,...c}=t,
h=this.tracks.get(e),l=n-(typeof s=="number"&&s>0?s:0);if(h&&l<h.at)return!1;if(d===!0)return this.remove(e);if(typeof i!="number"||typeof o!="number")return!1;
let b=h?l-h.at:1/0;if(!h||b>un){let Ge=h?.intervalMs??Ns;return this.tracks.set(e,{fromX:i,fromY:o,x:i,y:o,at:l,intervalMs:Ge,fields:c}),!0}let[x,N]=ln(h,n),Z=Math.
min(un,h.intervalMs*.75+b*.25);return this.tracks.set(e,{fromX:x,fromY:N,x:i,y:o,at:l,intervalMs:Z,fields:c}),!0}remove(e){return this.tracks.delete(e)}at(e,t){
let n=this.tracks.get(e);if(!n||t-n.at>=Cs)return;let[s,i]=ln(n,t);return{client:e,x:s,y:i,fields:n.fields,dim:t-n.at>=Is}}sample(e){let t=[];for(let n of this.
tracks.keys()){let s=this.at(n,e);s&&t.push(s)}return t}};function ln(r,e){let t=Math.min(1,Math.max(0,(e-r.at)/r.intervalMs));return[r.fromX+(r.x-r.fromX)*t,r.
fromY+(r.y-r.fromY)*t]}var xe=class{constructor(e=Rs){this.intervalMs=e}intervalMs;wanted;sent;sentAt=-1/0;lastPoint;set(e,t){let n=M(e,"a point",t),s=Bs.find(a=>Object.
hasOwn(n,a));if(s)throw new TypeError(`a cursor's field may not be named "${s}": the protocol uses it`);let{x:i,y:o}=n;if(typeof i!="number"||typeof o!="number")
throw new TypeError("x and y must be finite numbers");if(!k(JSON.stringify(n),Ve+2))throw new RangeError(`a cursor's fields have at most ${Ve} bytes`);this.lastPoint=
{x:i,y:o},this.wanted=JSON.stringify({...n,type:"cursor"})}clear(){this.lastPoint&&(this.wanted=JSON.stringify({...this.lastPoint,hidden:!0,type:"cursor"})),this.
lastPoint=void 0}reconnected(){this.sent=void 0,this.sentAt=-1/0}tick(e,t){if(this.wanted===void 0||this.wanted===this.sent||!t.connected)return{};let n=t.alone?
Math.max(Ps,this.intervalMs):this.intervalMs,s=this.sentAt+n-e;return s>0?{againInMs:s}:t.bufferedBytes>Js?{againInMs:this.intervalMs}:(this.sent=this.wanted,this.
sentAt=e,{send:this.wanted})}};function pn(r){return u(r)&&typeof r.client=="string"}var Us=50,mn=r=>JSON.stringify({type:"presence",state:r}),Ls=mn({}).length-2,fn=r=>Math.min(r.max_state_bytes,r.max_message_bytes-Ls);function yn(r,e){let t=[],
n=[];for(let[s,i]of r){let o=[...n,[s,i]];if(k(JSON.stringify(Object.fromEntries(o)),e)){n=o;continue}n.length>0&&t.push(Object.fromEntries(n)),n=k(JSON.stringify(
{[s]:i}),e)?[[s,i]]:[]}return n.length>0?[...t,Object.fromEntries(n)]:t}var je=class{state={};patches=[];sentAt=-1/0;update(e,t=U){let n=T(this.state,e),s=fn(t);
if(!k(JSON.stringify(n),s))throw new RangeError(`a presence state has at most ${s} bytes after the merge`);this.state=n;let i=this.patches.pop(),o=i&&H(i,e);this.
patches.push(...o?[o]:i?[i,e]:[e])}reconnected(e){let t=K(e,this.state);this.patches=Object.keys(t).length>0?[t]:[],this.sentAt=-1/0}tick(e,t,n=U){if(this.patches.
length===0||!t)return{};let s=this.sentAt+Us-e;if(s>0)return{againInMs:s};let i=this.pieces(fn(n)).map(mn);return this.patches=[],this.sentAt=e,{send:i}}pieces(e){
if(this.patches.every(s=>k(JSON.stringify(s),e)))return this.patches;let t=[...new Set(this.patches.flatMap(s=>Object.keys(s)))],n=t.filter(s=>Object.hasOwn(this.
state,s)).map(s=>[s,this.state[s]]);return[...yn(t.map(s=>[s,null]),e),...yn(n,e)]}};var Ae=class{constructor(e,t){this.self=e;this.shell=t;let{cursorSender:n,presenceSender:s}=this;this.cursor={set:i=>{n.set(i,t.limits().max_json_depth),t.moved()},
clear:()=>{n.clear(),t.moved()}},this.presence={get state(){return s.state},update:i=>this.update(F(s.state,M(i,"a patch",this.levels)))}}self;shell;cursor;presence;cursorSender=new xe;presenceSender=new je;get levels(){
return this.shell.limits().max_json_depth-1}update(e){Object.keys(e).length!==0&&(this.presenceSender.update(e,this.shell.limits()),this.shell.due())}signal(e,t){
let n=JSON.stringify({type:"signal",event:ne(e),data:_(t,this.levels)}),{max_message_bytes:s}=this.shell.limits();if(!k(n,s))throw new RangeError(`a signal has \
at most ${s} bytes as a message`);return n}setUser(e){let{wanted:t,patch:n}=this.self.changed(e);this.update({user:n}),this.self.take(t)}welcomed(e,t){this.cursorSender.
intervalMs=Math.max(33,e.cursor_interval_ms??0),this.cursorSender.reconnected(),u(this.presence.state.user)&&this.presenceSender.update({user:this.self.silence}),
this.presenceSender.reconnected(t)}tick(e,t){let n=this.cursorSender.tick(e,t),s=this.presenceSender.tick(e,t.connected,this.shell.limits());return{send:[...n.send===
void 0?[]:[n.send],...s.send??[]],againInMs:Math.min(n.againInMs??1/0,s.againInMs??1/0)}}};var _e=class{constructor(e){this.actions=e}actions;all=new WeakMap;unacked=new Set;list;of(e){let t=this.all.get(e);return t||(t=new W(e,this.actions),this.all.
set(e,t)),t}get outbox(){return this.list??=[...this.unacked]}add(e){let t=this.of(e);return this.unacked.add(t),this.list=void 0,t}remove(e){let t=this.of(e);this.
unacked.delete(t)&&(this.list=void 0)}touch(){this.list=void 0}end(e,t){for(let n of this.unacked)n.end(e,t);this.list=void 0}clear(){this.unacked.clear(),this.
list=void 0}};var Ds=200,qs=2e4,$s=900,Ws="Edit",ft=r=>r.state==="pending"||r.state==="sent",yt=({actions:r})=>r.every(({op:e})=>e.state==="failed"),Me=class{constructor(e,t){
this.doc=e;this.now=t}doc;now;onChange=()=>{};undos=[];redos=[];open;made=0;get canUndo(){return!!this.open?.actions.length||this.undos.some(e=>!yt(e))}get canRedo(){
return this.redos.some(e=>!yt(e))}begin(e=Ws,t){this.end(),this.open={label:e,actions:[],mergeKey:t,at:this.now()}}get grouping(){return this.open!==void 0}end(){
let e=this.open;if(this.open=void 0,!e||e.actions.length===0)return;let t=this.undos.at(-1);if(t&&e.mergeKey&&t.mergeKey===e.mergeKey&&e.at-t.at<$s){for(let s of e.
actions)mt(t,s);t.at=e.at}else this.undos.push(e);let n=this.undos.reduce((s,i)=>s+i.actions.length,0);for(;this.undos.length>Ds||n>qs&&this.undos.length>1;)n-=
this.undos.shift()?.actions.length??0;this.redos=[],this.onChange()}clear(){this.undos=[],this.redos=[],this.open&&(this.open={...this.open,actions:[]}),this.onChange()}record(e,t,n){
let s=this.actionOf(e,t,n);if(s){if(this.open)return mt(this.open,s);this.begin(),mt(this.open,s),this.end()}}actionOf(e,t,n){let s=this.made++;if(e.type==="obj\
ect-create")return{type:"create",id:e.object.id,op:n,order:s,object:e.object,replaced:t};if(e.type==="object-delete")return t&&{type:"delete",id:e.id,op:n,order:s,
object:t};if(!(e.type!=="object-update"||!t))return{type:"update",id:e.id,op:n,order:s,change:at(t,J(t,e))}}undo(){return this.end(),this.step(this.undos,this.redos)}redo(){
return this.end(),this.step(this.redos,this.undos)}actions(){return(this.open?[...this.undos,...this.redos,this.open]:[...this.undos,...this.redos]).flatMap(t=>t.
actions).sort((t,n)=>t.order-n.order)}remote(e,t){let n=this.actions().filter(s=>s.id===e);if(n.length!==0)for(let[s,i]of dt(t))for(let o of n){if(ft(o.op)){if(o.
type==="delete")o.object=g(o.object,s,i);else if(o.type==="create")o.replaced&&=g(o.replaced,s,i);else if(o.type==="update"&&Yt(o.change,s))o.change=ct(o.change,
s,i);else continue;break}o.type==="update"&&(o.change=Qt(o.change,s))}}rebase(e){let t=new Set;for(let n of this.actions()){let{id:s,op:i,first:o=i}=n;if(!ft(i)||
t.has(s))continue;let a=e(s);if(n.type==="update")for(let d of G(n.change)){let c=JSON.stringify([s,...d]);a&&ft(o)&&!t.has(c)&&(n.change=ct(n.change,d,y(a,d))),
t.add(c)}else{let d=[...t].some(c=>c.startsWith(`[${JSON.stringify(s)},`));n.type==="delete"&&a&&!d&&(n.object=a),t.add(s)}}}step(e,t){let n=e.pop();for(;n&&yt(
n);)n=e.pop();let s={label:n?.label??"",actions:[],mergeKey:void 0,at:0};for(let o of[...n?.actions??[]].reverse()){let a=this.invert(o);a&&s.actions.push(a)}let i=s.
actions.length>0;return i&&t.push(s),this.onChange(),n&&{label:n.label,done:i}}invert(e){let{id:t}=e,n=this.doc.get(t);if(e.op.state==="failed")return;let s=Hs(
e,n);return s&&this.actionOf(s,n,this.doc.perform(s))}};function Hs(r,e){let{id:t}=r;switch(r.type){case"create":return e?r.replaced?j(e,r.object)?{type:"object\
-create",object:r.replaced}:void 0:{type:"object-delete",id:t}:void 0;case"delete":return e?void 0:{type:"object-create",object:r.object};case"update":{let n=e&&
Ks(r.change,e);return n&&{type:"object-update",id:t,patch:n}}}}function Ks(r,e){let t={};for(let n of G(r))j(y(e,n)??null,y(r.after,n)??null)&&(t=g(t,n,y(r.before,
n)??null,!0));return Object.keys(t).length>0?t:void 0}function bn(r,e){for(let t=r.length-1;t>=0;t--)if(r[t]?.id===e)return r[t]}function mt(r,e){let{actions:t}=r;
if(e.type==="update"){let n=bn(t,e.id);if(n?.type==="create"&&!n.replaced)return;let s=n?.type==="update"?Zt(n.change,e.change):void 0;if(n?.type==="update"&&s){
n.change=s,n.first??=n.op,n.op=e.op;return}}if(e.type==="delete"){let n=bn(t,e.id);if(n?.type==="create"&&!n.replaced)return void t.splice(t.indexOf(n),1)}t.push(
e)}var Te=class{constructor(e){this.shell=e;this.history=new Me({get:e.get,perform:e.perform},e.now),this.history.onChange=()=>e.changed({canUndo:this.canUndo,canRedo:this.
canRedo})}shell;history;unrecorded=!1;get canUndo(){return this.history.canUndo}get canRedo(){return this.history.canRedo}undo(){return this.shell.mayWrite()?this.
together(()=>this.history.undo()):void 0}redo(){return this.shell.mayWrite()?this.together(()=>this.history.redo()):void 0}begin(e={}){let{label:t,mergeKey:n}=gn(
e);this.history.begin(t,n)}end(){this.history.end()}clear(){this.history.clear()}batch(e,t){if(typeof e!="function")throw new TypeError("batch needs a function");
let{undo:n,label:s,mergeKey:i}=gn(t),o=this.unrecorded,a=n!==!1&&!o&&!this.history.grouping;this.unrecorded||=n===!1,a&&this.history.begin(s,i);try{return this.
together(e)}finally{this.unrecorded=o,a&&this.history.end()}}together(e){let t=this.shell.batch();try{return e()}finally{t&&this.shell.batched()}}recorded(e,t){
let n=m(e);if(n===void 0||this.unrecorded)return t(()=>{});let s=this.shell.get(n);return t(i=>this.history.record(e,s,i))}remote(e,t){this.history.remote(e,t)}rebase(e){
this.history.rebase(e)}};function gn(r){if(!u(r))throw new TypeError("options must be an object: { label?, mergeKey? }");A(r,["label","mergeKey","undo"],"a step");
for(let e of["label","mergeKey"]){let t=r[e];if(t!==void 0&&typeof t!="string")throw new TypeError(`${e} must be a string`)}return r}var vn=3e5,Ie=class{constructor(e,t,n){this.now=e;this.send=t;this.after=n}now;send;after;waiting=new Map;ping(){return new Promise((e,t)=>{let n=this.now(),s=Math.
floor(n)+.5;for(;this.waiting.has(s);)s+=.0625;if(!this.send(JSON.stringify({type:"ping",ts:s})))return t(new f("closed","there is no connection"));let i=this.after(
vn,()=>this.answered(s,new f("unreachable",`no answer within ${vn/1e3} s`))),o=a=>(i(),a?t(a):e(this.now()-n));this.waiting.set(s,{answer:o})})}ponged(e){this.answered(
e??-1)}answered(e,t){let n=this.waiting.get(e);this.waiting.delete(e),n?.answer(t)}lost(){for(let e of[...this.waiting.keys()])this.answered(e,new f("closed","t\
he connection was lost"))}};function Y(r,e){switch(e.type){case"object-create":return e.object;case"object-update":return r&&ut(r,e);case"object-delete":return}}var bt={client:"",own:!1,cause:"\
snapshot"},Ce=(r,e)=>({client:r.client,own:!0,cause:e}),Re=r=>r.body,Pe=class{objects=new Map;overlays=new Map;changes=[];reset=!1;moved={all:!1,ids:new Set,made:new Set};list;get(e){
let t=this.overlays.get(e);return t?t.value:this.objects.get(e)}confirmed(e){return this.objects.get(e)}*values(){for(let[e,t]of this.objects){let n=this.overlays.
get(e);n?n.value&&!n.created&&(yield n.value):yield t}for(let e of this.overlays.values())e.created&&e.value&&(yield e.value)}all(){return this.list??=[...this.
values()]}get size(){let e=this.objects.size;for(let[t,n]of this.overlays)e+=(n.value?1:0)-(this.objects.has(t)?1:0);return e}push(e,t="call"){let n=m(e.body);if(n===
void 0)return;let s=this.get(n),i=this.overlays.get(n)??{ops:[],value:s,created:!1};i.ops.push(e),i.value=Y(s,Re(e)),!s&&i.value&&(i.created=!0,this.overlays.delete(
n)),this.overlays.set(n,i),this.note(n,s,i.value,Ce(e,t))}below(e){let t=m(e.body)??"",n=this.objects.get(t);for(let s of this.overlays.get(t)?.ops??[]){if(s===
e)break;n=Y(n,Re(s))}return n}remerged(e){let t=m(e.body);t!==void 0&&this.refresh(t,Ce(e,"call"))}drop(e,t){let n=m(e.body);n===void 0||!this.take(n,e)||this.refresh(
n,Ce(e,t))}take(e,t){let n=this.overlays.get(e),s=n?n.ops.indexOf(t):-1;return!n||s<0?!1:(n.ops.splice(s,1),!0)}confirm(e){let t=m(e.body);if(t===void 0)return;
let n=this.overlays.get(t),s=n?.ops[0]===e;if(this.store(t,Y(this.objects.get(t),Re(e))),this.take(t,e),this.noteAbsence(t),n&&s&&n.ops.length===0){this.overlays.
delete(t),n.value&&this.objects.set(t,n.value);return}this.refresh(t,Ce(e,"remote"))}remote(e,t){let n=m(e);if(n===void 0)return;let s=this.get(n),i=this.objects.
get(n);this.noteAbsence(n),this.store(n,Y(i,e)),this.noteAbsence(n);let o={client:t,own:!1,cause:"remote",...i&&e.type==="object-update"&&{patch:J(i,e)}};this.overlays.
has(n)?this.refresh(n,o):this.note(n,s,this.objects.get(n),o)}resuming(){for(let e of this.overlays.keys())this.noteAbsence(e)}noteAbsence(e){let t=this.objects.
has(e);for(let n of this.overlays.get(e)?.ops??[])n.body.type==="object-create"?t=!0:!t&&n.attempted&&(n.mayBeIgnored=!0),n.body.type==="object-delete"&&(t=!1)}store(e,t){
this.list=void 0,this.moved.ids.add(e),t&&!this.objects.has(e)&&this.noteMade(e),t?this.objects.set(e,t):this.objects.delete(e)}refresh(e,t){let n=this.overlays.
get(e);if(!n)return;let s=n.value,i=this.objects.get(e);n.created=!1;for(let o of n.ops){let a=Y(i,Re(o));n.created||=!i&&a!==void 0,i=a}n.ops.length===0?this.overlays.
delete(e):s&&i&&_t(s,i)&&(i=s),n.value=i,this.note(e,s,i,t)}replace(e){this.moved={all:!0,ids:new Set,made:new Set},this.renew(new Map([...e].map(t=>[t.id,t])))}catchUp(e,t){
let n=new Map(this.objects);for(let s of t)n.delete(s),this.moved.ids.add(s);for(let s of e)this.moved.ids.add(s.id),n.has(s.id)||this.noteMade(s.id),n.set(s.id,
s);this.renew(n)}renew(e){let t=this.objects;this.objects=e,this.reset=!0,this.list=void 0;for(let[n,s]of e){let i=t.get(n);i&&i!==s&&j(i,s)&&e.set(n,i)}for(let[
n,s]of e)!this.overlays.has(n)&&s!==t.get(n)&&this.note(n,t.get(n),s,bt);for(let[n,s]of t)!this.overlays.has(n)&&!e.has(n)&&this.note(n,s,void 0,bt);for(let n of[
...this.overlays.keys()])this.refresh(n,bt)}noteMade(e){this.moved.made.delete(e),this.moved.made.add(e)}takeMoved(){let{moved:e}=this;return this.moved={all:!1,
ids:new Set,made:new Set},e}confirmedObjects(){return this.objects.values()}note(e,t,n,s){if(this.list=void 0,t===n&&!s.patch)return;let i=t===n?"update":n===void 0?
"delete":t===void 0?"create":"update";this.changes.push({id:e,type:i,...s})}takeChanges(){let{changes:e,reset:t}=this;if(e.length===0&&!t)return;let n={ids:[...new Set(
e.map(s=>s.id))],changes:e,reset:t};return this.changes=[],this.reset=!1,n}};var gt=(r,e,t)=>`${r}/${e??`#${t}`}`,Je=class{constructor(e,t){this.handleOf=e;this.own=t}handleOf;own;confirmed=[];pending=new Map;list=[];dirty=!1;get messages(){
return this.list??=[...this.confirmed,...[...this.pending].map(([e,{at:t,key:n}])=>this.shown(e,0,t,n))]}shown(e,t,n,s){let i=e.body,o=this.handleOf(e);return{key:s,
seq:t,client:e.client,user:this.own().user,at:n,text:i.text,...i.reply_to!==void 0&&{replyTo:i.reply_to},own:!0,state:o.state,op:o}}received(e,t){return{key:gt(
e.client,e.op,e.seq),seq:e.seq,client:e.client,...e.user&&{user:e.user},at:e.at,text:e.text,...typeof e.reply_to=="number"&&{replyTo:e.reply_to},own:t(e.client),
state:"acked"}}push(e,t){this.pending.set(e,this.pending.get(e)??{at:t,key:gt(e.client,e.op,0)}),this.changed()}renamed(){this.pending.size>0&&this.changed()}touch(e){
this.pending.has(e)&&this.changed()}drop(e){this.pending.delete(e)&&this.changed()}confirm(e,t,n){let s=this.pending.get(e)?.key??gt(e.client,e.op,t);this.pending.
delete(e),this.append(this.shown(e,t,n,s))}remote(e){this.append(this.received(e,t=>t===this.own().client))}append(e){this.confirmed.push(e),this.confirmed.length>
1e3&&this.confirmed.shift(),this.changed()}replace(e){let t=new Map(this.confirmed.map(s=>[s.seq,s])),n=s=>s===this.own().client;this.confirmed=e.slice(-1e3).map(
s=>{let i=t.get(s.seq),o=this.received(s,n);return i&&i.client===o.client&&i.text===o.text?i:o}),this.changed()}latest(){return this.confirmed.slice(-200).map(({
key:e,seq:t,client:n,at:s,text:i,replyTo:o,user:a})=>{let d=Number(e.slice(e.lastIndexOf("/")+1)),c=o!==void 0&&{reply_to:o};return{seq:t,client:n,at:s,text:i,...Number.
isFinite(d)&&{op:d},...c,...a&&{user:a}}})}changed(){this.list=void 0,this.dirty=!0}takeDirty(){let{dirty:e}=this;return this.dirty=!1,e}};var Ne=(r,e)=>`${r}/${e}`;function Fs(r,e){return r.type!=="object-update"||e.type!=="object-update"||E(e)?!1:Object.keys(e.patch).every(t=>Object.hasOwn(r.patch,
t))}var Be=class{entries=new Map;failed=new Map;get size(){return this.entries.size}values(){return this.entries.values()}get(e,t){return this.entries.get(Ne(e,
t))}has({client:e,op:t}){return this.entries.has(Ne(e,t))}put(e){if(this.entries.set(Ne(e.client,e.op),e),e.body.type!=="object-update"||e.state!=="failed")return;
let{id:t}=e.body;this.failed.set(t,(this.failed.get(t)??new Set).add(e))}take(e){this.entries.delete(Ne(e.client,e.op));let t=m(e.body)??"",n=this.failed.get(t);
n?.delete(e)&&n.size===0&&this.failed.delete(t)}rewrittenBy(e){let t=e.type==="object-update"?this.failed.get(e.id):void 0;return t?[...t].filter(n=>Fs(e,n.body)):
[]}outlivedBy(e){let t=this.failed.get(m(e.body)??"");return t?[...t].filter(n=>n.key<e.key):[]}};var Ue=class{ops=new Map;chars=0;window=32768;landedAt=0;shrunkAt=-1/0;soonest=1/0;soonestAt=-1/0;get size(){return this.ops.size}get bytes(){return this.chars}get full(){
return this.ops.size>=1e3||this.ops.size>0&&this.chars>=this.window}get since(){for(let{sentAt:e}of this.ops.values())return Math.max(e,this.landedAt)}has(e){return this.
ops.has(e)}launch(e,t,n){this.chars+=t,this.ops.set(e,{chars:t,sentAt:n,limited:this.chars>=this.window/2})}land(e,t){let n=this.ops.get(e);if(!n)return;this.ops.
delete(e),this.chars-=n.chars,this.landedAt=t;let s=t-n.sentAt;(s<=this.soonest||t-this.soonestAt>3e4)&&([this.soonest,this.soonestAt]=[s,t]);let i=s-this.soonest;
i<=Math.max(50,this.soonest)?n.limited&&(this.window=Math.min(1048576,this.window+n.chars)):i>Math.max(200,2*this.soonest)&&n.sentAt>=this.shrunkAt&&(this.window=
Math.max(8192,this.window*.7),this.shrunkAt=t)}clear(){this.ops.clear(),this.chars=0,this.window=32768,this.soonest=1/0,this.soonestAt=this.shrunkAt=-1/0}};var wn=33,vt=250,On=5e3,Q=r=>r.type==="object-update"&&E(r),kn=["overloaded","rate-limited","not-ready"],En=1e3;function wt(r){let e=[];for(let t of r){if(!t.attempted)
break;t.committed&&e.push(t)}return e}var Le=class{perMs=0;burst=1;tokens=1;refilledAt=0;start(e,t){this.perMs=e*.9/1e3,this.burst=Math.max(1,Math.floor(e/2)),this.tokens=this.burst,this.refilledAt=
t}take(e){return this.perMs<=0?0:(this.tokens=Math.min(this.burst,this.tokens+Math.max(0,e-this.refilledAt)*this.perMs),this.refilledAt=e,this.tokens<1?Math.ceil(
(1-this.tokens)/this.perMs):(this.tokens-=1,0))}};var De=class{constructor(e,t=1){this.client=e;this.nextOp=t}client;nextOp;queue=new Map;aside=new Be;latest=new Map;flight=new Ue;connected=!1;orphans=[];blockedAt;retryAt=0;pacer=new Le;updatesNotBefore=0;roundEnd=0;urgent=0;wake;limits={
maxMessageBytes:256*1024,opsPerS:0};nextKey=1;grouping=!1;group;edited=!1;get next(){return this.nextOp}entries(){return[...this.aside.values(),...this.queue.values()].
sort((e,t)=>e.key-t.key)}get size(){return this.aside.size+this.queue.size}get wakeAt(){return this.connected?this.wake:void 0}get unansweredBytes(){return this.
flight.bytes}get waitingSince(){return this.flight.since}restore(e){for(let t of[...e].sort((n,s)=>n.op-s.op)){this.nextKey=Math.max(this.nextKey,t.key+1),t.attempted=
!0;let n=t.client!==this.client;n||(this.nextOp=Math.max(this.nextOp,t.op+1)),n||t.state==="failed"?this.aside.put(t):this.enqueue(t),n&&t.state!=="failed"&&this.
orphans.push(t)}}add(e){let t=this.mergeInto(e),n=t??this.made(e,this.nextOp++);t||(this.grouping&&(n.group=this.group??=n.key),this.enqueue(n));let s=this.supersede(
this.aside.rewrittenBy(n.body));return{entry:n,merged:t!==void 0,effects:[{type:"changed",entry:n},...s]}}begin(){this.grouping=!0,this.group=void 0}end(){this.
grouping=!1,this.group=void 0}unspeakable(){return!this.connected||this.limits.set||!this.edited?[]:[...this.queue.values()].filter(e=>!e.attempted&&Q(e.body))}latestOf(e){
return this.latest.get(e)}supersede(e){return e.map(t=>(this.remove(t),{type:"superseded",entry:t}))}made(e,t=0){let n={attempted:!1,committed:!1,mayBeContained:!1,
refusals:0};return{key:this.nextKey++,client:this.client,op:t,body:e,state:"pending",...n}}mergeInto(e){if(e.type!=="object-update")return;let t=this.latest.get(
e.id);if(!t||t.attempted||t.body.type!=="object-update"||t.group!==this.group||this.grouping&&this.group===void 0)return;if(Q(t.body)||Q(e)){let s=nn(t.body,e);
return s&&(t.body={...t.body,...s}),s&&t}let n=H(t.body.patch,e.patch);if(n)return t.body={...t.body,patch:n},t}enqueue(e){this.queue.set(e.op,e),this.edited||=
Q(e.body);let t=m(e.body);t!==void 0&&this.latest.set(t,e),!e.attempted&&e.body.type!=="object-update"&&this.urgent++}dequeue(e){this.queue.get(e.op)===e&&this.
queue.delete(e.op)&&!e.attempted&&e.body.type!=="object-update"&&this.urgent--;let t=m(e.body);t!==void 0&&this.latest.get(t)===e&&this.latest.delete(t)}welcome(e,t,n){
this.lost(),this.connected=!0,this.limits=t,this.pacer.start(t.opsPerS,n),this.nextOp=Math.max(this.nextOp,e+1);let s=!1;for(let i of this.queue.values()){if(i.
op>e)break;i.attempted?i.committed=!0:s=!0}return s?this.renumber([...this.queue.values()].filter(i=>!i.attempted)):[]}renumber(e){for(let t of e)this.dequeue(t),
this.aside.take(t);return e.map(t=>(t.client=this.client,t.op=this.nextOp++,t.attempted=t.committed=t.mayBeContained=t.mayBeIgnored=!1,t.state="pending",t.group=
void 0,this.enqueue(t),{type:"changed",entry:t}))}lost(){this.connected=!1,this.flight.clear(),this.blockedAt=void 0}flush(e){this.wake=void 0;let t=[];if(!this.
connected||this.orphans.length>0||this.waitsAfterRefusal(e)||this.flight.full)return t;for(let n of this.queue.values()){if(this.flight.has(n.op)||n.committed)continue;
if(this.flight.full)break;let s=n.body.type==="object-update"&&!n.attempted&&n.op>this.roundEnd;if(s&&this.urgent===0&&e<this.updatesNotBefore){this.wake=this.updatesNotBefore;
break}let i=this.pacer.take(e);if(i>0){this.wake=e+i;break}s&&(this.roundEnd=this.nextOp-1,this.updatesNotBefore=e+wn),this.launchGroup(n,e,t)||this.launch(n,e,
t)}return t}launchGroup(e,t,n){let{group:s}=e;if(s===void 0||e.key!==s||!this.limits.batch)return!1;let i=[...this.queue.values()].filter(d=>d.group===s);if(i.length<
2||i.length>En||i[0]!==e||i.some(d=>d.committed||this.flight.has(d.op)))return!1;let o=i.map(lt),a=`{"type":"batch","ops":[${o.join(",")}]}`;if(o.includes(void 0)||
!k(a,this.limits.maxMessageBytes))return!1;for(let[d,c]of i.entries())this.launched(c,o[d],t,n,d===0?a:void 0);return!0}waitsAfterRefusal(e){return this.blockedAt===
void 0?!1:this.flight.size>0?!0:e<this.retryAt?(this.wake=this.retryAt,!0):(this.blockedAt=void 0,!1)}launch(e,t,n){let s=lt(e);if(s===void 0){n.push(...this.fail(
e,"bad-message","it has a value that JSON cannot hold"));return}if(!k(s,this.limits.maxMessageBytes)){n.push(...this.fail(e,"too-large",`over ${this.limits.maxMessageBytes}\
 bytes`));return}this.launched(e,s,t,n,s)}launched(e,t,n,s,i){!e.attempted&&e.body.type!=="object-update"&&this.urgent--,this.flight.launch(e.op,t.length,n);let o=e.
state!=="sent";e.attempted=!0,e.state="sent",i!==void 0&&s.push({type:"send",entry:e,text:i}),o&&s.push({type:"changed",entry:e})}find(e){return this.queue.get(
e)??this.aside.get(this.client,e)}ack(e,t,n){this.flight.land(e,n);let s=this.find(e);return s?this.settle(s,t):[]}met(e,t,n){let s=e===this.client?this.find(t):
this.aside.get(e,t);return s?this.settle(s,{seq:n,status:"ok"}):[]}settle(e,t){return this.remove(e),e.state="acked",e.error=void 0,[{type:"settled",entry:e,result:t},
...this.supersede(this.aside.outlivedBy(e))]}remove(e){this.dequeue(e),this.aside.take(e),this.orphans=this.orphans.filter(t=>t!==e)}refused(e,t,n,s){this.flight.
land(e,n);let i=this.queue.get(e);if(!i)return[];if(!kn.includes(t.code))return this.fail(i,t.code,t.message);if(i.state="pending",this.blockedAt!==void 0&&e>this.
blockedAt)return[{type:"changed",entry:i}];i.refusals++,this.blockedAt=e;let a=s*Math.min(On,vt*2**(i.refusals-1));return this.retryAt=n+(t.retryAfterMs===void 0?
vt:V(t.retryAfterMs))+a,[{type:"changed",entry:i}]}fail(e,t,n){return this.remove(e),e.state="failed",e.committed=!1,e.error={code:t,message:n},this.aside.put(e),
[{type:"failed",entry:e},...this.unblockFrom(e)]}unblockFrom(e){return this.blockedAt!==e.op||e.client!==this.client?[]:(this.blockedAt=void 0,this.connected?[{
type:"unblock"}]:[])}retry(e){return e.state!=="failed"||!this.aside.has(e)?[]:(e.refusals=0,e.error=void 0,this.renumber([e]))}discard(e){return!(this.find(e.op)===
e||this.aside.has(e))||e.committed||e.state!=="pending"&&e.state!=="failed"?[]:(this.remove(e),[{type:"discarded",entry:e},...this.unblockFrom(e)])}jumped(){for(let e of this.
queue.values()){if(!e.attempted)break;e.mayBeContained=!0}}caughtUp(e){let t=new Set;return[...wt(this.queue.values()).flatMap(s=>{if(s.mayBeContained)return this.
settle(s,{seq:0,status:"dup"});let i=s.body.type==="object-update"||s.body.type==="object-delete"?s.body:void 0;return i&&(s.mayBeIgnored||t.has(i.id)||!e(i.id))?
this.settle(s,{seq:0,status:"ignored"}):(s.body.type==="object-create"&&t.add(s.body.object.id),this.fail(s,"refused","the server refused it for good; its reaso\
n was lost with the connection"))}),...this.requeueOrphans(()=>!1)]}snapshotTaken(e){let t=i=>this.settle(i,{seq:0,status:"dup"}),n=[...wt(this.queue.values()),
...this.orphans.filter(e)].flatMap(t),s=i=>i.body.type==="object-create"||i.body.type==="chat";return[...n,...this.requeueOrphans(i=>!s(i))]}requeueOrphans(e){if(this.
orphans.length===0)return[];let t=this.orphans.filter(e).flatMap(i=>this.fail(i,"unknown-outcome","it may have been committed before the client id changed")),n=[
...this.queue.values()],s=this.orphans;return this.orphans=[],[...t,...this.renumber([...s,...n])]}changeClient(e){this.lost(),this.roundEnd=0;let t=[...this.queue.
values()],n=t.filter(s=>s.attempted);for(let s of n)this.dequeue(s),this.aside.put(s);return this.orphans.push(...n),this.client=e,this.nextOp=1,this.renumber(t.
filter(s=>!s.attempted))}};var Sn={};function zs(r,e){if(!u(e.user))return r;let{name:t,color:n}=e.user,s=a=>typeof a=="string"&&[...a].length<=B,i=Array.isArray(r.vouched)?r.vouched:[],o={
...s(t)&&!i.includes("name")&&{name:t},...s(n)&&!i.includes("color")&&{color:n}};return{...r,...o}}var qe=class{seats=new Map;list=[];dirty=!1;get others(){return this.
list??=[...this.seats.values()].map(e=>e.other)}get size(){return this.seats.size}get(e){return this.seats.get(e)?.other}replace(e,t){let n=new Set(e.map(i=>i.client)),
s=[...this.seats.keys()].filter(i=>!n.has(i)||i===t);for(let i of s)this.leave(i);for(let i of e)i.client!==t&&this.join(i);return s}join(e){this.put(e.client,e.
user??{},e.state??Sn,e.away??!1)}update(e,t,n){let s=this.seats.get(e);this.put(e,s?.joinedAs??{},t??s?.other.state??Sn,n??s?.other.away??!1)}leave(e){this.seats.
delete(e)&&this.changed()}put(e,t,n,s){let i=this.seats.get(e),o={client:e,user:zs(t,n),state:n,away:s};i&&JSON.stringify(i.other)===JSON.stringify(o)||(this.seats.
set(e,{joinedAs:t,other:o}),this.changed())}changed(){this.list=void 0,this.dirty=!0}takeDirty(){let{dirty:e}=this;return this.dirty=!1,e}};var $e=class{roster=new qe;cursors=new Se;moved=new Set;signals=[];welcome(e,t,n){for(let s of this.roster.replace(e,t))this.left(s);for(let{client:s,cursor:i,cursor_age_ms:o}of e)
i&&s!==t&&this.cursors.receive(s,i,n,o)&&this.moved.add(s)}hear(e,t,n){if(e.type==="cursor-batch"){for(let s of e.cursors)!pn(s)||s.client===t||this.cursors.receive(
s.client,s,n)&&this.moved.add(s.client);return}if(!(!("client"in e)||e.client===t)){if(e.type==="presence")this.roster.update(e.client,e.state,e.away);else if(e.
type==="user-connected")this.roster.join(e);else if(e.type==="user-disconnected")this.left(e.client);else if(e.type==="signal"){let{client:s,event:i,data:o}=e;this.
signals.push({type:"emit",event:"signal",value:{client:s,event:i,data:o??null}})}}}left(e){this.roster.leave(e),this.cursors.remove(e)&&this.moved.add(e)}take(){
let e=this.signals;return this.signals=[],this.roster.takeDirty()&&e.push({type:"emit",event:"others",value:this.roster.others}),this.moved.size>0&&e.push({type:"\
emit",event:"cursors",value:[...this.moved]}),this.moved.clear(),e}};var Ot=["name","color"];function Xs(r){try{let e=(r?.split(".")[1]??"").replaceAll("-","+").replaceAll("_","/"),t=Uint8Array.from(atob(e),s=>s.charCodeAt(0)),n=JSON.
parse(new TextDecoder().decode(t));return u(n)?n:{}}catch{return{}}}var We=class{constructor(e){this.wanted=e;this.user=this.said=e}wanted;user;vouched={};said;claims={};joining(e){
return this.claims=Xs(e),this.said=this.wanted}welcomed(e){let t=this.user;this.vouched={};for(let n of Ot){let s=u(e)?e[n]:void 0;if(typeof s!="string")continue;
let i=this.claims[n];(typeof i=="string"&&[...i].slice(0,B).join("")===s||s!==this.said[n])&&(this.vouched={...this.vouched,[n]:s})}return this.user={...this.wanted,
...this.vouched},Ot.some(n=>this.user[n]!==t[n])}changed(e){let t={...this.wanted,...e};return{wanted:t,patch:{...t,...this.silence}}}take(e){this.wanted=e,this.
user={...e,...this.vouched}}get silence(){return Object.fromEntries(Ot.filter(e=>this.vouched[e]!==void 0).map(e=>[e,null]))}};function xn(r,e,t){return{position:()=>t.position,take:()=>r.takeMoved(),get:n=>r.confirmed(n),objects:()=>r.confirmedObjects(),chat:()=>e.latest()}}function Gs(r,e,{epoch:t,seq:n}){return e.epoch===t&&r.epoch===t&&e.seq<=r.seq&&r.seq<=n}var He=class{position;parts;held=[];target=1/0;gapAt;get seq(){return this.
position?.seq??0}get caughtUp(){return this.parts===void 0&&this.seq>=this.target}lost(){this.parts=void 0,this.held=[],this.target=1/0}welcome(e,t,n){return this.
lost(),this.target=t,n!=="resume"?(this.parts=[],!0):this.position?.epoch===e}resync(){this.parts=[],this.held=[]}place(e,t){return this.parts?this.held.length>=
2e4?"gap":(this.held.push(t),"held"):!this.position||e>this.position.seq+1?"gap":e<=this.position.seq?"repeat":(this.position={epoch:this.position.epoch,seq:e},
"next")}part(e){let t=e.part===0?[]:this.parts,n=t?.[0]??e;if(!t||t.length!==e.part||n.seq!==e.seq||n.epoch!==e.epoch)return"gap";if(t.push(e),this.parts=t,!e.last)
return;let{held:s,position:i}=this,{base:o}=n;return this.parts=void 0,this.held=[],o&&!(i&&Gs(i,o,e))?(this.position=void 0,"gap"):(this.position={epoch:e.epoch,
seq:e.seq},{deleted:o&&t.flatMap(d=>d.deleted??[]),objects:t.flatMap(d=>d.objects),chat:t.flatMap(d=>d.chat),held:s})}gap(){let{position:e,gapAt:t}=this;e&&t&&t.
epoch===e.epoch&&t.seq===e.seq&&(this.position=void 0),this.gapAt=e}};var jn={welcome:{instance:"string",epoch:"string",seq:"number",mode:"string",acked_op:"number",users:"object",limits:"object"},snapshot:{epoch:"string",seq:"num\
ber",part:"number",last:"boolean",objects:"object",chat:"object"},"object-create":{seq:"number",client:"string",object:"object"},"object-update":{seq:"number",client:"\
string",id:"string"},"object-delete":{seq:"number",client:"string",id:"string"},chat:{seq:"number",client:"string",text:"string"},broadcast:{seq:"number",client:"\
string",event:"string"},ack:{op:"number",seq:"number",status:"string"},"cursor-batch":{cursors:"object"},presence:{client:"string"},signal:{client:"string",event:"\
string"},"user-connected":{client:"string"},"user-disconnected":{client:"string"},resync:{},goaway:{},error:{code:"string"},pong:{}};function An(r){if(!u(r)||typeof r.
type!="string")throw new TypeError("a message has a type");let e=Object.hasOwn(jn,r.type)?jn[r.type]:void 0;if(e){for(let[t,n]of Object.entries(e)){let s=r[t];if(typeof s!==
n||s===null)throw new TypeError(`${r.type}.${t} must be a ${n}`)}return r.type==="snapshot"&&Ys(r),r.type==="object-update"?Vs(r):r}}function Vs(r){let{patch:e,
unset:t,set:n,append:s}=r;for(let[i,o]of Object.entries({patch:e,set:n,append:s}))if(o!==void 0&&!u(o))throw new TypeError(`object-update.${i} must be an object`);
if(t!==void 0&&!(Array.isArray(t)&&t.every(i=>typeof i=="string")))throw new TypeError("object-update.unset must be a list of paths");if(e===void 0&&!E(r))throw new TypeError(
"object-update.patch must be an object");return{...r,patch:e??{}}}function Ys({base:r,deleted:e}){if(r!==void 0&&!(u(r)&&typeof r.epoch=="string"&&typeof r.seq==
"number"))throw new TypeError("snapshot.base must have an epoch and a seq");if(e!==void 0&&!Array.isArray(e))throw new TypeError("snapshot.deleted must be a lis\
t")}var Ke=class{constructor(e){this.options=e;this.self=new We(e.user),this.random=e.random,this.date=e.date,this.outbox=new De(e.client,e.nextOp),this.chat=new Je(
e.handleOf,()=>({client:this.outbox.client,user:this.self.user}))}options;canvas=new Pe;people=new $e;chat;outbox;self;role="write";instance="";limits=U;sync="s\
ynchronizing";stream=new He;random;date;lingering=new Map;bySnapshot=!1;broken=!1;outboxDirty=!1;told;batching=!1;effects=[];get client(){return this.outbox.client}get seq(){
return this.stream.seq}get ground(){return xn(this.canvas,this.chat,this.stream)}get epoch(){return this.stream.position?.epoch??""}hello(e,t=[]){let n=this.self.
joining(e),s=this.stream.position,i=s?["set","batch","base"]:["set","batch"];return JSON.stringify({type:"hello",v:1,client:this.client,user:n,token:e,since:s,features:i,
...t.length>0&&{compress:t}})}restore(e,t){this.outbox.restore(e),t&&(this.stream.position={epoch:t.epoch,seq:t.seq},this.canvas.replace(t.objects),this.chat.replace(
t.chat),this.outbox.jumped());for(let n of e)(n.state!=="failed"||n.body.type==="chat")&&this.show(n);return this.outboxDirty=!0,this.drain()}perform(e,t){let{entry:n,
merged:s,effects:i}=this.outbox.add(e);return s?this.canvas.remerged(n):this.show(n),this.follow(i),this.batching?{entry:n,effects:[]}:(this.flush(t),{entry:n,effects:this.
drain()})}batch(){return this.batching?!1:(this.outbox.begin(),this.batching=!0)}batched(e){return this.batching=!1,this.outbox.end(),this.flush(e),this.drain()}show(e){
e.body.type==="chat"?this.chat.push(e,this.date()):this.canvas.push(e)}retry(e,t){let n=this.outbox.retry(e);return n.length>0&&this.show(e),this.follow(n),this.
flush(t),this.drain()}giveUp(){for(let e of this.outbox.entries())e.body.type==="chat"?this.chat.touch(e):this.canvas.drop(e,"rollback");return this.outboxDirty=
!0,this.drain()}discard(e){return this.follow(this.outbox.discard(e)),this.drain()}changeClient(e){return this.follow(this.outbox.changeClient(e)),this.drain()}lost(){
return this.broken=!1,this.stream.lost(),this.outbox.lost(),this.drain()}tick(e){return this.flush(e),this.drain()}flush(e){for(let t of this.outbox.unspeakable()){
if(t.body.type!=="object-update")continue;let{type:n,id:s}=t.body;t.body={type:n,id:s,patch:J(this.canvas.below(t)??{},t.body)},this.canvas.remerged(t),this.follow(
[{type:"changed",entry:t}])}this.follow(this.outbox.flush(e))}frame(e,t){try{let n=An(e);n&&this.handle(n,t)}catch(n){return this.garbled(n)}return this.flush(t),
this.drain()}garbled(e){return this.effects.push({type:"error",code:"bad-frame",message:String(e)}),this.reconnect(),this.drain()}handle(e,t){if(!this.broken)switch(e.
type){case"welcome":return this.welcome(e,t);case"snapshot":return this.snapshotPart(e,t);case"ack":return e.status==="ok"?this.ordered(e,t):this.answered(e,t);case"\
object-create":case"object-update":case"object-delete":case"chat":case"broadcast":return this.ordered(e,t);case"resync":return this.stream.resync();case"error":
return this.refused(e,t);case"goaway":this.effects.push({type:"goaway",retryAfterMs:e.retry_after_ms??0});return;case"pong":this.effects.push({type:"pong",ts:e.
ts});return;default:this.people.hear(e,this.client,t)}}welcome(e,t){if(!this.stream.welcome(e.epoch,e.seq,e.mode))return this.gap(`the server resumes epoch ${e.
epoch}, which is not held here`);this.bySnapshot=e.mode!=="resume",this.canvas.resuming(),this.instance=e.instance,this.role=e.role,this.limits={...U,...e.limits},
this.self.welcomed(e.user)&&this.chat.renamed(),this.people.welcome(e.users,this.client,t);let{max_message_bytes:n,ops_per_s:s}=this.limits;this.effects.push({type:"\
welcomed",welcome:e});let[i,o]=["set","batch"].map(a=>e.features?.includes(a)??!1);this.follow(this.outbox.welcome(e.acked_op,{maxMessageBytes:n,opsPerS:s,set:i,
batch:o},t)),this.arrived()}snapshotPart(e,t){let n=this.stream.part(e);if(n==="gap")return this.gap(`snapshot part ${e.part} is out of place, or its base is no\
t held here`);if(n){this.bySnapshot=!0,this.outbox.jumped(),n.deleted?this.canvas.catchUp(n.objects,n.deleted):this.canvas.replace(n.objects),this.chat.replace(
n.chat),this.arrived();for(let s of n.held)this.handle(s,t)}}ordered(e,t){let n=this.stream.place(e.seq,e);if(n==="gap")return this.gap(`seq ${e.seq} came after\
 ${this.seq}`);if(n==="held")return;let s=this.takeOwn(e,t);if(n==="repeat")s&&this.contained(s);else if(s)this.confirmed(s,e);else if(e.type!=="ack")this.remote(
e);else return this.stream.position=void 0,this.gap(`op ${e.op} was acked but is not known here`);this.arrived()}takeOwn(e,t){let n=e.type==="ack"?this.client:e.
client;if(e.op===void 0)return;let s=`${n}/${e.op}`,i=this.lingering.get(s);if(i)return this.lingering.delete(s),i.entry;let o=e.type==="ack"?this.outbox.ack(e.
op,{seq:e.seq,status:"ok"},t):this.outbox.met(n,e.op,e.seq),[a,...d]=o;return this.follow(d),a?.type==="settled"?this.settled(a.entry,a.result):void 0}settled(e,t){
return this.outboxDirty=!0,this.effects.push({type:"forget",entry:e},{type:"settle",entry:e,result:t}),e}confirmed(e,t){let{seq:n}=t,s=t.type==="ack"?this.date():
t.at;if(e.body.type==="chat")this.chat.confirm(e,n,s);else if(e.body.type==="broadcast"){let{event:i,data:o}=e.body;this.effects.push({type:"emit",event:"broadc\
ast",value:{event:i,data:o,client:e.client,own:!0,seq:n,at:s}})}else this.canvas.confirm(e)}remote(e){let{client:t,seq:n,at:s}=e,i=t===this.client;if(e.type==="\
chat")this.chat.remote(e);else if(e.type==="broadcast"){let{event:o,data:a}=e;this.effects.push({type:"emit",event:"broadcast",value:{event:o,data:a,client:t,own:i,
seq:n,at:s}})}else{let o=e.type==="object-update"&&!i&&this.canvas.confirmed(e.id);o&&e.type==="object-update"&&this.options.remote?.(e.id,J(o,e)),this.canvas.remote(
e,t)}}contained(e,t="remote"){e.body.type==="chat"?this.chat.drop(e):this.canvas.drop(e,t)}answered(e,t){this.follow(this.outbox.ack(e.op,{seq:e.seq,status:e.status},
t))}refused(e,t){let{op:n,code:s,message:i}=e;if(n===void 0&&e.retry_after_ms&&this.effects.push({type:"away",ms:e.retry_after_ms}),n===void 0||!this.outbox.find(
n)){this.effects.push({type:"error",code:s,message:i});return}this.follow(this.outbox.refused(n,{code:s,message:i,retryAfterMs:e.retry_after_ms},t,this.random()))}gap(e){
this.stream.gap(),this.effects.push({type:"error",code:"gap",message:e}),this.reconnect()}reconnect(){this.broken=!0,this.outbox.lost(),this.effects.push({type:"\
reconnect"})}arrived(){for(let[n,{entry:s,seq:i}]of this.lingering)i>this.seq||(this.lingering.delete(n),this.contained(s));if(this.sync==="synchronized"||!this.
stream.caughtUp)return;let e=n=>n.body.type==="object-create"?this.canvas.confirmed(n.body.object.id)!==void 0:this.chat.messages.some(s=>s.seq>0&&s.key===`${n.
client}/${n.op}`),t=n=>this.canvas.confirmed(n)!==void 0;this.follow(this.bySnapshot?this.outbox.snapshotTaken(e):this.outbox.caughtUp(t))}follow(e){for(let t of e)
switch(t.type){case"send":this.effects.push({type:"send",text:t.text});break;case"changed":this.chat.touch(t.entry),this.outboxDirty=!0,this.effects.push({type:"\
save",entry:t.entry});break;case"settled":this.settledOutside(t.entry,t.result);break;case"failed":this.failed(t.entry);break;case"discarded":this.outboxDirty=!0,
this.contained(t.entry,"rollback"),this.effects.push({type:"forget",entry:t.entry});break;case"superseded":this.outboxDirty=!0,this.effects.push({type:"supersed\
e",entry:t.entry},{type:"forget",entry:t.entry});break;case"unblock":this.reconnect()}}settledOutside(e,t){this.settled(e,t),t.status==="dup"&&t.seq>this.seq?(this.
lingering.set(`${e.client}/${e.op}`,{entry:e,seq:t.seq}),this.chat.touch(e)):this.contained(e)}failed(e){let{code:t,message:n}=e.error??{code:"failed",message:""};
this.outboxDirty=!0,e.body.type==="chat"?this.chat.touch(e):this.canvas.drop(e,"rollback"),this.effects.push({type:"save",entry:e},{type:"reject",entry:e,code:t,
message:n},{type:"error",code:t,message:n,entry:e})}drain(){let{effects:e}=this;this.effects=[];let t=this.canvas.takeChanges();t&&e.push({type:"emit",event:"ob\
jects",value:t}),this.chat.takeDirty()&&e.push({type:"chat"}),e.push(...this.people.take()),this.stream.position!==this.told&&e.push({type:"moved"}),this.told=this.
stream.position,this.outboxDirty&&e.push({type:"outbox"}),this.outboxDirty=!1;let n=this.stream.caughtUp?"synchronized":"synchronizing";return n!==this.sync&&e.
push({type:"emit",event:"sync",value:n}),this.sync=n,e}};function _n(r,e){let t=new Promise((n,s)=>{let i=[],o=()=>{let a=r.status==="disconnected";if(!a&&r.sync!=="synchronized")return;for(let c of i)c();let d=e();a?
s(new f("closed",`the room is disconnected${d===void 0?"":`: ${d}`}`)):n()};i.push(r.on("sync",o),r.on("status",o)),o()});return t.catch(()=>{}),t}var Fe=class{constructor(e,t,n){this.env=e;this.source=t;this.tell=n}env;source;tell;newer;cancelAsking=()=>{};get any(){return this.source!==void 0}get renewable(){
return typeof this.source=="function"}refreshed(e){typeof this.source!="function"&&(this.source=e)}next(e){this.newer=e}used(){this.newer=void 0}stop(){this.cancelAsking()}async get(){
this.cancelAsking();let{source:e}=this,t=this.newer??(typeof e=="function"?await this.ask(e):e);if(t!=null){if(typeof t!="string")throw new TypeError(`the funct\
ion must return a string, or a promise of one, not ${Array.isArray(t)?"array":typeof t}`);return t}}ask(e){return new Promise((t,n)=>{let s=0,i=1e4,o=()=>{},a={
code:"unauthorized",message:"no token yet: the function that gets it does not answer. It is asked again"},d=this.env.after(4e3,()=>this.tell(a));this.cancelAsking=
()=>(o(),d());let c=()=>this.cancelAsking(),h=()=>{s++,o=this.env.after(i,h),i=Math.min(6e4,i*2),Promise.resolve().then(e).then(l=>(c(),t(l)),l=>{--s>0||(c(),n(
l))})};h()})}};var Mn=3e5,ze=class{constructor(e,t,n,s){this.env=e;this.store=n;this.canvas=t.canvas,this.storageTold=n.durable?"indexeddb":"memory",this.emitter=new fe(i=>e.nextFrame(
i)),this.pings=new Ie(()=>e.now(),i=>this.connection.send(i),(i,o)=>e.after(i,o)),this.tokens=new Fe(e,t.token,i=>this.tell(i)),this.handles=this.makeHandles(),
this.history=this.steps=new Te({get:i=>this.session.canvas.get(i),now:()=>e.now(),perform:i=>this.take(i),mayWrite:()=>this.role==="write"&&!this.closed&&!this.
connection.stopped?.final,batch:()=>this.session.batch(),batched:()=>this.run(this.session.batched(e.now()),!0),changed:i=>this.emitter.emit("history",i)}),this.
session=new Ke({client:s.client,user:t.user,nextOp:s.nextOp,handleOf:i=>this.handles.of(i),random:()=>e.random(),date:()=>e.date(),remote:(i,o)=>this.steps.remote(
i,o)}),this.connection=new ke(e,t.socketUrl,this.connectionHandler(),{canRenewToken:this.tokens.renewable,canChangeIdentity:t.ownIdentity,hasToken:()=>this.tokens.
any},t),this.objects=rn(this.session.canvas,i=>this.perform(i),i=>this.unchanged(i),e.makeId,()=>this.levels),this.chat=on(this.session.chat,i=>this.perform(i)),
this.cursors={sample:(i=e.now())=>this.session.people.cursors.sample(i),at:(i,o=e.now())=>this.session.people.cursors.at(i,o)},this.ephemeral=new Ae(this.session.
self,{limits:()=>this.limits,moved:()=>this.sampleCursor(),due:()=>this.tick()}),this.cursor=this.ephemeral.cursor,this.presence=this.ephemeral.presence,this.unwatch=
e.watch({wakened:()=>this.connection.wakened(),offline:()=>this.connection.offline(),left:()=>n.leave(),cameBack:()=>n.comeBack()});for(let i of[...s.entries].sort(
(o,a)=>o.key-a.key))this.handles.add(i);this.run(this.session.restore(s.entries,s.kept)),n.follow?.(this.session.ground),this.connection.connect()}env;store;canvas;objects;chat;cursors;cursor;presence;history;steps;session;connection;emitter;handles;ephemeral;pings;queue=new Ee(
e=>this.carryOut(e));tokens;cancelTick;tickAt=1/0;framed=!1;storageTold;unwatch;closed=!1;get client(){return this.session.client}get user(){return this.session.
self.user}get role(){return this.session.role}get instance(){return this.session.instance}get transport(){return this.connection.transport}get epoch(){return this.
session.epoch}get seq(){return this.session.seq}get limits(){return this.session.limits}get status(){return this.connection.status}get sync(){return this.session.
sync}get others(){return this.session.people.roster.others}get outbox(){return this.handles.outbox}get levels(){return this.limits.max_json_depth-1}on(e,t,n){return this.
emitter.on(e,t,n)}perform(e){return this.steps.recorded(e,t=>this.take(e,t))}batch(e,t={}){return this.steps.batch(e,t)}get canUndo(){return this.history.canUndo}get canRedo(){
return this.history.canRedo}undo(){return this.history.undo()}redo(){return this.history.redo()}unchanged(e){if(this.closed)throw new f("closed","the room is cl\
osed");let{outbox:t}=this.session,n=t.latestOf(m(e)??"");if(n)return this.handles.of(n);let s=this.handles.of({...t.made(e),state:"acked"});return s.settle({seq:0,
status:"unchanged"}),s}take(e,t=()=>{}){if(this.closed)throw new f("closed","the room is closed");let{stopped:n}=this.connection;if(n?.final){let a=this.handles.
of(this.session.outbox.made(e));return a.end(n.code,n.message),a}let{entry:s,effects:i}=this.session.perform(e,this.env.now()),o=this.handles.add(s);return t(o),
this.run(i,!0),o}makeHandles(){return new _e({retry:e=>this.run(this.session.retry(e,this.env.now())),discard:e=>{let t=this.closed?[]:this.session.discard(e);return t.
length===0?!1:(this.handles.of(e).end("discarded","the op was discarded"),this.handles.remove(e),this.run(t),!0)}})}giveUp(e,t){this.handles.end(e,t),this.closed&&
this.handles.clear(),this.run(this.session.giveUp())}broadcast(e,t=null){return this.perform({type:"broadcast",event:ne(e),data:_(t,this.levels)})}signal(e,t=null){
return this.connection.send(this.ephemeral.signal(e,t))}sampleCursor(){this.framed||(this.framed=!0,this.env.nextFrame(()=>{this.framed=!1,this.tick()}))}setUser(e){
this.ephemeral.setUser(se(e))}refreshToken(e){let t=JSON.stringify({type:"refresh",token:re(e)});this.tokens.refreshed(e),!this.connection.send(t)&&(this.tokens.
next(e),this.connection.restart())}ping(){return this.pings.ping()}cut(e=0){this.connection.cut(e)}connectionHandler(){return{token:()=>this.tokens.get(),hello:(e,t)=>this.
session.hello(e,t),line:()=>({joining:this.sync!=="synchronized",unanswered:this.session.outbox.unansweredBytes}),message:e=>this.run(this.session.frame(e,this.
env.now())),garbled:e=>this.run(this.session.garbled(e)),lost:e=>{e===4401&&this.tokens.used(),this.run(this.session.lost()),this.pings.lost()},status:e=>this.emitter.
emit("status",e),newIdentity:async()=>{this.run(this.session.changeClient(this.env.makeId())),await this.store.changeClient(this.session.client,this.session.outbox.
entries())},problem:e=>this.tell(e),ended:({code:e,message:t})=>{e==="refused"&&this.store.refused?.(),this.giveUp(e,t)}}}tell({code:e,message:t}){this.emitter.
emit("error",new f(e,t))}get storage(){return this.store.durable?"indexeddb":"memory"}storageChanged(){this.storage!==this.storageTold&&(this.storageTold=this.storage,
this.guard(),this.emitter.emit("storage",this.storage))}guard(){this.env.guard(!this.store.durable&&this.session.outbox.size>0&&!this.closed)}storageFailed(e){this.
tell({code:"storage",message:e})}whenSynced(){return _n(this,()=>this.connection.stopped?.message)}close(){this.closed||(this.closed=!0,this.giveUp("closed","th\
e room was closed before the op was acked"),this.connection.close(),this.tokens.stop(),this.cancelTick?.(),this.unwatch(),this.env.guard(!1),this.store.close())}run(e,t=!1){
this.queue.run(e,t)&&this.schedule()}carryOut(e){switch(e.type){case"send":this.connection.send(e.text);break;case"reconnect":this.connection.drop();break;case"\
welcomed":this.tokens.used(),this.ephemeral.welcomed(e.welcome.limits,e.welcome.users.find(({client:t})=>t===this.client)?.state??{}),this.connection.welcomed(e.
welcome.heartbeat_ms),this.tick();break;case"goaway":this.connection.goaway(e.retryAfterMs);break;case"away":this.connection.stayAway(e.ms);break;case"pong":this.
connection.ponged(),this.pings.ponged(e.ts);break;case"save":this.closed||this.handles.add(e.entry),this.store.save(e.entry),this.store.numbered(this.session.outbox.
next);break;case"forget":this.handles.remove(e.entry),this.store.forget(e.entry);break;case"supersede":this.handles.of(e.entry).end("superseded","a newer op of \
the object stands in its place");break;case"settle":this.handles.of(e.entry).settle(e.result);break;case"reject":this.handles.of(e.entry).fail(e.code,e.message);
break;case"error":this.emitter.emit("error",new f(e.code,e.message,e.entry&&this.handles.of(e.entry)));break;case"outbox":this.handles.touch(),this.guard(),this.
emitter.tell("outbox",()=>this.outbox);break;case"moved":this.store.moved?.();break;case"chat":this.emitter.tell("chat",()=>this.chat.messages);break;case"emit":
e.event==="sync"&&e.value==="synchronized"&&(this.connection.arrived(),this.steps.rebase(t=>this.session.canvas.confirmed(t))),this.emitter.emit(e.event,e.value)}}tick(){
let e=this.env.now();this.run(this.session.tick(e));let{connected:t,bufferedBytes:n}=this.connection,s=this.session.people.roster.size===0,{send:i,againInMs:o}=this.
ephemeral.tick(e,{connected:t,alone:s,bufferedBytes:n});for(let d of i)this.connection.send(d);this.schedule(e+o);let{waitingSince:a}=this.session.outbox;t&&a!==
void 0&&e-a>=Mn&&this.connection.drop()}schedule(e=1/0){let{wakeAt:t,waitingSince:n}=this.session.outbox,s=Math.min(e,t??1/0,n===void 0?1/0:n+Mn);this.closed||s>=
this.tickAt||(this.cancelTick?.(),this.tickAt=s,this.cancelTick=this.env.after(Math.max(0,s-this.env.now()),()=>{this.tickAt=1/0,this.tick()}))}};var I=new Map,Qs=0,Tn=new WeakMap;function In(r){if(!r)return 0;let e=Tn.get(r)??++Qs;return Tn.set(r,e),e}async function Cn(r,e,t){let n=I.get(r)??{opening:e(),
users:0};I.set(r,n),n.users++;let s=o=>{--n.users>0||(I.get(r)===n&&I.delete(r),o.close())},i;try{i=await kt(n.opening,t)}catch(o){throw setTimeout(()=>{n.opening.
then(s,()=>I.get(r)===n&&I.delete(r))}),o}return i.on("status",o=>o==="disconnected"&&I.get(r)===n&&I.delete(r)),Zs(i,()=>s(i))}function kt(r,e){return e?new Promise(
(t,n)=>{let s=()=>n(e.reason);if(e.aborted)return s();e.addEventListener("abort",s,{once:!0}),r.finally(()=>e.removeEventListener("abort",s)).then(t,n)}):r}function Zs(r,e){
let t=new Set,n=new Set,s=!1,i=(c,h,l)=>{if(s)return()=>{};let b=r.on(c,h,l);c==="status"&&n.add(h);let x=()=>{t.delete(x),n.delete(h),b()};return t.add(x),x},o=()=>{
if(s)return;s=!0;let c=[...n],h=r.status!=="disconnected";for(let l of[...t])l();if(e(),h)for(let l of c)l("disconnected")},a=(c,h)=>{let l=Object.create(c);for(let b of h){
let x=c[b];l[b]=(...N)=>{if(s)throw new f("closed","the room is closed");return x.apply(c,N)}}return l},d={objects:a(r.objects,["create","update","delete"]),chat:a(
r.chat,["send"]),...a({broadcast:r.broadcast.bind(r)},["broadcast"])};return Object.create(r,{on:{value:i},close:{value:o},status:{get:()=>s?"disconnected":r.status},
objects:{value:d.objects},chat:{value:d.chat},broadcast:{value:d.broadcast}})}var er=/^[A-Za-z0-9_-]{8,64}$/;function Et(r){return typeof r=="string"&&er.test(r)}function Rn(r){let e=()=>{try{return globalThis.sessionStorage}catch{return}};
return{take(){try{let t=e()?.getItem(r);e()?.removeItem(r);let{client:n,nextOp:s}=JSON.parse(t??"{}");return Et(n)&&Number.isSafeInteger(s)?{client:n,nextOp:s}:
void 0}catch{return}},put(t){try{e()?.setItem(r,JSON.stringify(t))}catch{}}}}var Xe=class{constructor(e,t){this.shelf=t;this.identity=e}shelf;durable=!1;identity;save(){}forget(){}numbered(e){
this.identity={client:this.identity.client,nextOp:e}}changeClient(e){return this.identity={client:e,nextOp:1},Promise.resolve()}leave(){this.shelf?.put(this.identity)}comeBack(){
this.shelf?.take()}close(){this.leave()}};var Pn=/^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/,tr=["url","canvas","user","token","persist","encoding","compress","transport","WebSocket","client","signal","share"];
function nr(r,e){try{return new URL(r,e)}catch{return}}function sr(r,e){let t=globalThis.location,n=r??t?.origin;if(n===void 0)throw new TypeError("url is neede\
d where there is no page: like wss://relay.example.org");let s=nr(n,t?.href);if(!s||!["ws:","wss:","http:","https:"].includes(s.protocol))throw new TypeError(`u\
rl must be like wss://host or https://host, not ${JSON.stringify(String(n))}`);return s.protocol=s.protocol.replace("http","ws"),s.pathname=`${s.pathname.replace(
/\/+$/,"")}/ws/${e}`,s.hash="",s.href}async function da(r){if(!u(r))throw new TypeError("connect needs options: { canvas, \u2026 }");A(r,tr,"connect");let{canvas:e,
client:t,token:n,signal:s,persist:i="memory"}=r;if(typeof e!="string"||!Pn.test(e))throw new TypeError(`canvas must match ${Pn.source}`);if(t!==void 0&&!Et(t))throw new TypeError(
"client must be 8 to 64 of A-Z a-z 0-9 _ -");if(i!=="memory"&&i!=="indexeddb")throw new TypeError('persist must be "memory" or "indexeddb"');if(s!==void 0&&!(s instanceof
AbortSignal))throw new TypeError("signal must be an AbortSignal");let{encoding:o,compress:a}=r;if(o!==void 0&&!Object.hasOwn(R,o))throw new TypeError('encoding \
must be "json" or "msgpack"');let{WebSocket:d,transport:c=d===void 0?"auto":"websocket"}=r;if(!["auto","websocket","sse"].includes(c))throw new TypeError('trans\
port must be "auto", "websocket" or "sse"');if(a!==void 0&&typeof a!="boolean")throw new TypeError("compress must be true or false");let h=se(r.user===void 0?{}:
r.user);if(n!==void 0&&typeof n!="function"&&re(n),d!==void 0&&typeof d!="function")throw new TypeError("WebSocket must be a constructor");if(r.share!==void 0&&
typeof r.share!="boolean")throw new TypeError("share must be true or false");let l=Bt(d,c!=="sse"),b=sr(r.url,e);s?.throwIfAborted();let x={socketUrl:b,canvas:e,
user:h,token:n,ownIdentity:t===void 0,encoding:o,compress:a,transport:c},N=()=>rr(l,x,t,i),Z=typeof document<"u"&&r.share!==!1,Ge=[b,t,i,o,a,c,typeof n=="functi\
on"?"function":n,h,In(d)],St=Z?Cn(JSON.stringify(Ge),N,s):N(),xt=await kt(St,s).catch(Jn=>{throw Z||St.then(Nn=>Nn.close(),()=>{}),Jn});return s?.addEventListener(
"abort",()=>xt.close(),{once:!0}),xt}async function rr(r,e,t,n){let s=t===void 0?Rn(`scumble:${e.socketUrl}`):void 0,i=[],o,a=l=>{o?o.storageFailed(l):i.push(l)},
d=()=>o?.storageChanged(),{store:c,loaded:h}=await ir({room:e.socketUrl,shelf:s,client:t,makeId:r.makeId,problem:a,changed:d},n);return o=new ze(r,e,c,h),i.length>
0&&r.after(0,()=>i.forEach(l=>o?.storageFailed(l))),o}async function ir(r,e){if(e==="indexeddb"){if(Ut())return Wt(r);r.problem("there is no IndexedDB here: uns\
aved changes do not outlive this page")}return or(r.client,r.shelf,r.makeId)}function or(r,e,t){let n=e?.take()??{client:r??t(),nextOp:1};return{store:new Xe(n,
e),loaded:{...n,entries:[]}}}export{f as ScumbleError,da as connect};
//# sourceMappingURL=client.js.map
