/* scumble-client 0.2.0, MIT OR Apache-2.0 */
var hs="scumble";var ne=r=>2e3+r*5;function se(){try{return typeof indexedDB<"u"&&indexedDB!==null}catch{return!1}}function re(r){switch(r?.name){case"QuotaExceededError":return"the disk, or the \
part of it that this site may use, is full: free some space";case"VersionError":return"a newer version of this library has the storage: reload this page";case"S\
ecurityError":case"NotAllowedError":return"the browser's settings forbid this page to store anything";default:return String(r)}}function v(r,e,t=2e3){return new Promise(
(n,s)=>{let i=8,o,a=()=>{i-- >0?o=setTimeout(a,t/8):s(new Error(`${e} did not answer within ${t/1e3} s`))};a(),r.finally(()=>clearTimeout(o)).then(n,s)})}function w(r){
return new Promise((e,t)=>{r.onsuccess=()=>e(r.result),r.onerror=()=>t(r.error??new Error("IndexedDB failed"))})}function T(r){return new Promise((e,t)=>{r.oncomplete=
()=>e(),r.onabort=()=>t(r.error??new Error("IndexedDB aborted"))})}async function it(){let r=indexedDB.open(hs,2);return r.onupgradeneeded=()=>{let e=r.result,t=(n,s)=>{
e.objectStoreNames.contains(n)||e.createObjectStore(n,{keyPath:s})};t("seats",["room","client"]),t("ops",["room","client","key"]),t("canvases","room"),t("object\
s",["room","id"])},w(r)}var j=(...r)=>IDBKeyRange.bound(r,[...r,[]]),F=()=>globalThis.navigator?.locks!==void 0;function N(r,e){let t=globalThis.navigator?.locks;
return t?new Promise(n=>{let s=!0,i=setTimeout(()=>{s=!1,n(void 0)},2e3),o=a=>{clearTimeout(i),s?n(a):a?.()};t.request(r,e,a=>a?new Promise(d=>o(d)):o(void 0)).
catch(()=>o(void 0))}):Promise.resolve(()=>{})}var ls="scumble-assets",ot="uploads",K=64,at=128*1024*1024,us=14*864e5,ps=3e4,dt={load:async()=>[],add:async()=>{},remove:async()=>{}};async function fs(){let r=indexedDB.
open(ls,1);return r.onupgradeneeded=()=>r.result.createObjectStore(ot,{keyPath:["room","id"]}),w(r)}async function ie(r,e){let t=await v(fs(),"IndexedDB");try{let n=t.
transaction(ot,r),s=e(n.objectStore(ot));return await v(T(n),"IndexedDB",ps),s?.result}finally{t.close()}}function Wt(r,e,t){if(!e||!se())return dt;let n=()=>IDBKeyRange.
bound([r],[r,[]]);return{load:async()=>{let s=await ie("readonly",o=>o.getAll(n()))??[],i=s.filter(({at:o})=>o<t()-us);for(let{id:o}of i)await ie("readwrite",a=>a.
delete([r,o]));return s.filter(o=>!i.includes(o)).slice(0,K)},add:async s=>{await ie("readwrite",i=>i.put({...s,room:r,at:t()}))},remove:async s=>{await ie("rea\
dwrite",i=>i.delete([r,s]))}}}var ys=/\p{Surrogate}/u;function y(r,e,t){e==="__proto__"?Object.defineProperty(r,e,{value:t,enumerable:!0,configurable:!0,writable:!0}):r[e]=t}function l(r){return typeof r==
"object"&&r!==null&&!Array.isArray(r)}function $t(r){return ys.test(r)?r.replace(/\p{Surrogate}/gu,"\uFFFD"):r}function I(r,e=15){try{return oe(r,e,0)}catch(t){
let n=Ht(r,e,0).slice(0,120);throw n&&t instanceof TypeError?new TypeError(`${t.message} (at ${n})`):t}}function Ht(r,e,t){if(typeof r!="object"||r===null||t>=e)
return"";for(let n of Array.isArray(r)?r.keys():Object.keys(r)){let s=r[n];if(!(s===void 0&&!Array.isArray(r)))try{oe(s,e,t+1)}catch{let i=Ht(s,e,t+1);return`${typeof n==
"number"?`[${n}]`:n}${i&&!i.startsWith("[")?".":""}${i}`}}return""}function oe(r,e,t){switch(typeof r){case"string":return $t(r);case"boolean":return r;case"num\
ber":if(Number.isFinite(r))return r;throw new TypeError(`${r} cannot be sent: numbers must be finite`);case"object":if(r===null)return null;if(t>=e)throw new TypeError(
`nesting is at most ${e} levels`);return Array.isArray(r)?Array.from(r,n=>oe(n,e,t+1)):ms(r,e,t);default:throw new TypeError(`${r===void 0?"undefined":`a ${typeof r}`}\
 cannot be sent: JSON has none`)}}function ms(r,e,t){let n=Object.getPrototypeOf(r);if(n!==null&&Object.getPrototypeOf(n)!==null)throw new TypeError("only plain\
 objects and arrays can be sent");let s={};for(let[i,o]of Object.entries(r))o!==void 0&&y(s,$t(i),oe(o,e,t+1));return s}function R(r,e,t=15){if(!l(r))throw new TypeError(
`${e} must be an object`);return I(r,t)}function P(r,e){if(!l(e))return e;let t=l(r)?{...r}:{};for(let n of Object.keys(e)){let s=e[n];s!==void 0&&(s===null?delete t[n]:
y(t,n,l(s)?P(k(t,n),s):s))}return t}function k(r,e){return Object.hasOwn(r,e)?r[e]:void 0}function z(r,e){let t={...r};for(let n of Object.keys(e)){let s=e[n];if(s===
void 0)continue;let i=k(r,n);if(i===void 0||!l(s)){y(t,n,s);continue}let o=l(i)?z(i,s):void 0;if(o===void 0)return;y(t,n,o)}return t}function X(r,e){let t={};for(let n of Object.
keys(r))Object.hasOwn(e,n)||y(t,n,null);for(let n of Object.keys(e)){let[s,i]=[k(r,n),e[n]];i!==void 0&&y(t,n,l(s)&&l(i)?X(s,i):i)}return t}function Ft(r,e){let t=Object.
keys(r);return t.length===Object.keys(e).length&&t.every(n=>Object.hasOwn(e,n)&&r[n]===e[n])}function A(r,e){if(r===e)return!0;if(typeof r!="object"||typeof e!=
"object"||r===null||e===null||Array.isArray(r)!==Array.isArray(e))return!1;let t=Object.keys(r);return t.length===Object.keys(e).length&&t.every(n=>Object.hasOwn(
e,n)&&A(r[n],e[n]))}function G(r,e){let t={};for(let n of Object.keys(e)){let[s,i]=[k(r,n),e[n]];if(i===void 0||A(s??null,i))continue;let o=l(s)&&l(i)?G(s,i):void 0;
o===void 0?y(t,n,i):Object.keys(o).length>0&&y(t,n,o)}return t}var ct=512,ae=64,de=32,Kt=4e3,bs=64,D=64,q={max_message_bytes:256*1024,cursor_interval_ms:33,ops_per_s:0,max_objects:Number.MAX_SAFE_INTEGER,max_clients:Number.
MAX_SAFE_INTEGER,max_canvas_bytes:Number.MAX_SAFE_INTEGER,max_json_depth:16,max_state_bytes:8*1024},gs=new TextEncoder;function S(r,e){return r.length*3<=e||gs.
encode(r).length<=e}function M(r,e,t){if(typeof r!="string")throw new TypeError(`${e} must be a string`);let n=[...r].length;if(n<1||n>t)throw new RangeError(`${e}\
 must have 1 to ${t} characters`);return I(r)}function _(r,e,t){let n=Object.keys(r).find(s=>!e.includes(s));if(n!==void 0)throw new TypeError(`${t} has no ${JSON.
stringify(n)}, but ${e.join(", ")}`)}function ce(r){return M(r,"event",bs)}function he(r){if(!l(r))throw new TypeError("user must be an object");_(r,["name","co\
lor","vouched"],"user");let e={};for(let t of["name","color"]){let n=r[t];if(n!==void 0){if(typeof n!="string")throw new TypeError(`user.${t} must be a string`);
if([...n].length>D)throw new RangeError(`user.${t} must have at most ${D} characters`);e[t]=I(n)}}return e}function zt(r){if(typeof r!="number")throw new TypeError(
"replyTo must be a number");if(!Number.isSafeInteger(r)||r<1)throw new RangeError("replyTo must be a whole number from 1");return r}function le(r){if(typeof r!=
"string")throw new TypeError("a token must be a string, or a function that gives one");return r}async function Xt(r,e){let t=await fetch(r,{mode:e,redirect:"manual",cache:"no-store",credentials:"omit",signal:AbortSignal.timeout(1900)}),{status:n,type:s}=t;
return{status:n,type:s,text:n>=400?(await t.text()).slice(0,4096):""}}function vs(r){try{let{message:e}=JSON.parse(r);return typeof e=="string"?` (${e})`:""}catch{
return""}}function Gt({status:r,type:e,text:t}){if(e==="opaque")return"something answers there, but takes no WebSocket: is the path right?";if(e==="opaqueredire\
ct"||r>=300&&r<400)return"the server redirects to another address, which WebSockets do not follow: give that one as url";if(r===404||r===405||r<300)return`the s\
erver answers ${r}: there is no relay at this path`;if(r===401||r===407)return`the server answers ${r}: it asks for a login before it lets a WebSocket through`;
if(r===426)return"the relay is there, but no WebSocket gets through to it: it is shutting down, or a proxy between does not pass upgrades on";let n=`the server \
answers ${r}${vs(t)}`;return r===403?`${n}: it lets nobody in from this address, or from this page's origin`:r===429?`${n}: too many attempts from this address`:
r>=500?`${n}: it, or what stands behind a proxy, takes nobody just now`:n}function ws(r){let e=r.cause?.code;return typeof e=="string"?` (${e})`:""}async function Vt(r){
if(globalThis.navigator?.onLine===!1)return"this device is offline";let e=r.replace(/^ws/,"http");try{return Gt(await Xt(e,"cors"))}catch(t){return typeof document>
"u"?`nothing answers there${ws(t)}`:await Xt(e,"no-cors").then(Gt,()=>"nothing answers there")}}function Yt(){try{new DecompressionStream("deflate-raw")}catch{return}return Os}async function Os(r,e){let t=new DecompressionStream("deflate-raw"),n=t.writable.
getWriter();n.write(r).catch(()=>{}),n.close().catch(()=>{});let s=t.readable.getReader(),i=[],o=0;for(;;){let{done:c,value:h}=await s.read();if(c)break;if(o+=h.
length,o>e)throw s.cancel().catch(()=>{}),new RangeError(`a compressed frame becomes more than ${e} bytes`);i.push(h)}let a=new Uint8Array(o),d=0;for(let c of i)
a.set(c,d),d+=c.length;return a}var ks="ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-",Es=21;function Ss(){let r=crypto.getRandomValues(new Uint8Array(Es));return Array.from(
r,e=>ks[e&63]).join("")}function ht(r,e){let t=setTimeout(e,Math.min(r,2147483647));return()=>clearTimeout(t)}var xs=250;function js(r){if(typeof requestAnimationFrame!=
"function"||!lt()||document.visibilityState!=="visible")return void ht(16,r);let e=()=>{cancelAnimationFrame(n),t(),r()},t=ht(xs,e),n=requestAnimationFrame(e)}var lt=()=>typeof addEventListener==
"function"&&typeof document<"u";function As(r){if(!lt())return()=>{};let e=new AbortController,{signal:t}=e,n=()=>{document.visibilityState==="visible"&&r.wakened()};
return addEventListener("online",()=>r.wakened(),{signal:t}),addEventListener("offline",()=>r.offline(),{signal:t}),addEventListener("pagehide",()=>r.left(),{signal:t}),
addEventListener("pageshow",s=>s.persisted&&r.cameBack(),{signal:t}),document.addEventListener("visibilitychange",n,{signal:t}),()=>e.abort()}function Qt(r){r.preventDefault()}
function Ms(r){lt()&&(r?addEventListener("beforeunload",Qt):removeEventListener("beforeunload",Qt))}function _s(r,e,t){let n=new AbortController,s=async()=>{let a=await fetch(
r,{method:e===void 0?"GET":"POST",...e!==void 0&&{body:e},cache:"no-store",credentials:"omit",redirect:"error",signal:n.signal});n.signal.aborted||t.status(a.status);
let d=a.body?.getReader(),c=new TextDecoder;for(;;){let{done:h,value:u}=await d?.read()??{done:!0,value:void 0};if(n.signal.aborted||h)return;t.piece(c.decode(u,
{stream:!0}))}},i=()=>{n.signal.aborted||t.ended()};return s().then(i,i),()=>n.abort()}function Zt(r,e=!0){let t=r??globalThis.WebSocket;if(!t&&e)throw new TypeError(
"there is no global WebSocket here: give one as options.WebSocket");return{now:()=>performance.now(),date:()=>Date.now(),random:()=>Math.random(),makeId:Ss,after:ht,
nextFrame:js,openSocket:(n,s)=>{if(!t)throw new TypeError("there is no global WebSocket here");return new t(n,s.length===1?s[0]:[...s])},request:typeof fetch=="\
function"?_s:void 0,inflate:Yt(),diagnose:Vt,watch:As,guard:Ms}}var Ts=16*1024*1024,Is=8,en=300,Rs=10,Ps=3e4,ut=3e4;async function tn(r,e){let t=r.transaction(["canvases","objects"]),n=w(t.objectStore("canvases").get(e)),s=w(
t.objectStore("objects").getAll(j(e))),[i,o]=await Promise.all([n,s]),a=o.sort((p,m)=>p.place-m.place);if(!i)return;let{epoch:d,seq:c,chat:h,logs:u}=i;return{epoch:d,
seq:c,chat:h,logs:u,objects:a.map(({text:p})=>JSON.parse(p))}}async function W(r,e){let t=r.transaction(["canvases","objects"],"readwrite");return e===void 0?(t.
objectStore("canvases").clear(),t.objectStore("objects").clear()):(t.objectStore("canvases").delete(e),t.objectStore("objects").delete(j(e))),v(T(t),"IndexedDB")}
var ue=class{constructor(e,t,n,s,i){this.room=e;this.writer=t;this.database=n;this.ground=s;this.problem=i;F()&&this.waitForTurn()}room;writer;database;ground;problem;timer;writing=!1;stopped=new AbortController;alone=!1;whole=!0;sizes=new Map;places=new Map;chars=0;nextPlace=1;written=-1;full=!1;waitForTurn(){
let{signal:e}=this.stopped;navigator.locks.request(`scumble:kept:${this.room}`,{signal:e},()=>(this.alone=!0,this.moved(),new Promise(t=>e.addEventListener("abo\
rt",()=>t())))).catch(()=>{})}moved(e=en){this.stopped.signal.aborted||this.timer!==void 0||this.writing||F()&&!this.alone||(this.timer=setTimeout(()=>{this.write()},
e))}leave(){this.timer!==void 0&&!this.checks&&this.write()}renewed(){this.whole=!0,this.moved()}stop(){clearTimeout(this.timer),this.stopped.abort()}async write(){
clearTimeout(this.timer),this.timer=void 0;let[e,t]=[this.database(),this.ground.position()];if(!e||!t||this.writing)return;this.writing=!0;let n=performance.now(),
s;try{s=await this.writeTo(e,t),this.chars>Ts&&await this.giveUp(e)}catch(o){this.whole=!0,s=ut,o.name==="QuotaExceededError"&&(await W(e,this.room).catch(()=>{}),
this.full||this.problem(`the canvas is not kept on this device: ${re(o)}`),this.full=!0)}this.writing=!1;let i=performance.now()-n;s!==void 0?this.moved(s):this.
ground.position()?.seq!==this.written&&this.moved(Math.max(en,i*Rs))}giveUp(e){return this.stop(),W(e,this.room)}get checks(){return this.whole||!this.alone}async writeTo(e,{
epoch:t,seq:n}){let s=e.transaction(["canvases","objects"],"readwrite"),i=v(T(s),"IndexedDB",Ps);i.catch(()=>{});let o=s.objectStore("canvases"),{whole:a,checks:d}=this;
if(d){let c=await v(w(o.get(this.room)),"IndexedDB"),h=c!==void 0&&c.writer!==this.writer,u=Math.abs(Date.now()-(c?.at??0));if(h&&c.epoch===t&&c.seq>=n)return i.
then(()=>{this.written=n});if(h&&c.epoch===t&&!this.alone&&u<ut)return i.then(()=>ut-u);this.whole||=h||!c}this.put(s.objectStore("objects"),this.ground.take(),
this.whole),o.put({room:this.room,epoch:t,seq:n,chat:this.ground.chat(),logs:this.ground.logs(),writer:this.writer,at:Date.now()}),s.commit(),await i,this.written=
n,this.whole=this.full=!1,a&&await Cs(e,this.room)}put(e,t,n){if(n||t.all){e.delete(j(this.room)),this.sizes.clear(),this.places.clear(),this.chars=0,this.nextPlace=
1;for(let s of this.ground.objects())this.putRow(e,s);return}for(let s of t.made)this.places.set(s,this.nextPlace++);for(let s of t.ids){let i=this.ground.get(s);
i?this.putRow(e,i):this.drop(e,s)}}putRow(e,t){let{id:n}=t,s=JSON.stringify(t),i=this.places.get(n)??this.nextPlace++;this.chars+=s.length-(this.sizes.get(n)??0),
this.sizes.set(n,s.length),this.places.set(n,i),e.put({room:this.room,id:n,place:i,text:s})}drop(e,t){this.chars-=this.sizes.get(t)??0,this.sizes.delete(t),this.
places.delete(t),e.delete([this.room,t])}};async function Cs(r,e){let n=(await v(w(r.transaction("canvases").objectStore("canvases").getAll()),"IndexedDB")).filter(
s=>s.room!==e).sort((s,i)=>i.at-s.at);for(let{room:s}of n.slice(Is-1))await W(r,s)}var Ls=/^[A-Za-z0-9_-]{8,64}$/;function V(r){return typeof r=="string"&&Ls.test(r)}function nn(r){let e=()=>{try{return globalThis.sessionStorage}catch{return}};
return{take(){try{let t=e()?.getItem(r);e()?.removeItem(r);let{client:n,nextOp:s}=JSON.parse(t??"{}");return V(n)&&Number.isSafeInteger(s)?{client:n,nextOp:s}:void 0}catch{
return}},put(t){try{e()?.setItem(r,JSON.stringify(t))}catch{}}}}var pe=class{constructor(e,t){this.shelf=t;this.identity=e}shelf;durable=!1;identity;left=!1;save(){}forget(){}numbered(e){
this.identity={client:this.identity.client,nextOp:e},this.left&&this.shelf?.put(this.identity)}changeClient(e){return this.identity={client:e,nextOp:1},Promise.
resolve()}leave(){this.left=!0,this.shelf?.put(this.identity)}comeBack(){this.left=!1,this.shelf?.take()}close(){this.leave()}};var Us=1024*1024,sn=r=>`scumble:last:${r}:`,rn=(r,e)=>sn(r)+e;function pt(r){try{return r(globalThis.localStorage)}catch{return}}var Js=r=>{let{key:e,op:t,client:n,
body:s}=r??{};return Number.isSafeInteger(e)&&Number.isSafeInteger(t)&&V(n)&&typeof s?.type=="string"};function fe(r,e){return pt(t=>{let{nextOp:n,entries:s}=JSON.
parse(t.getItem(rn(r,e))??"{}");if(!(!Number.isSafeInteger(n)||!Array.isArray(s)||!s.every(Js)))return{nextOp:n,entries:s}})}function ye(r,e,{nextOp:t,entries:n}){
let s=rn(r,e),i=[],o=0;for(let a of n){let d=JSON.stringify(a);if(o+=d.length,o>Us)break;i.push(d)}pt(a=>{i.length===0?a.removeItem(s):a.setItem(s,`{"nextOp":${t}\
,"entries":[${i.join()}]}`)})}function on(r){let e=sn(r);return pt(t=>Object.keys(t).filter(n=>n.startsWith(e)).map(n=>n.slice(e.length)))??[]}var Y=(r,e)=>`scumble:${r}:${e}`;async function ft({room:r,client:e,makeId:t}){let n={client:e??t(),nextOp:1},s=await N(Y(r,n.client),{ifAvailable:!0});return{identity:n,
release:s??(()=>{})}}async function an(r,e){let{room:t}=e,n=e.client===void 0?e.shelf?.take():{client:e.client,nextOp:1};if(n){let o=await N(Y(t,n.client),{signal:AbortSignal.
timeout(2e3)});if(o)return{identity:n,release:o}}let s=F()?Ns(r,t):Promise.resolve(void 0);return await v(s,"IndexedDB").catch(o=>{throw s.then(a=>a?.release(),
()=>{}),o})??ft({...e,client:void 0})}async function Ns(r,e){let t=await w(r.transaction("seats").objectStore("seats").getAll(j(e))),n=new Set(t.map(({client:i})=>i)),
s=on(e).filter(i=>!n.has(i));for(let{client:i,nextOp:o}of[...t,...s.map(a=>({client:a,nextOp:1}))]){let a=await N(Y(e,i),{ifAvailable:!0});if(!a)continue;if(await w(
r.transaction("ops").objectStore("ops").count(j(e,i)))>0||fe(e,i))return{identity:{client:i,nextOp:o},release:a};ye(e,i,{nextOp:o,entries:[]}),await w(r.transaction(
"seats","readwrite").objectStore("seats").delete([e,i])),a()}}var me=2**20,dn=250,Ds=3e4,qs=4;async function cn(r){let e=it();e.catch(()=>{});let t,n;try{t=await Ws(await v(e,"IndexedDB"),r)}catch(c){n=c,t={db:void 0,entries:[],
last:[],kept:void 0,...await ft(r)}}let s=new yt(n===void 0?r:{...r,shelf:void 0},t),{identity:{client:i,nextOp:o},entries:a,kept:d}=t;return n===void 0?await s.
written():s.failed(n,e),{store:s,loaded:{client:i,nextOp:o,entries:a,...d&&{kept:d}}}}async function Ws(r,e){let{room:t}=e,{identity:n,release:s}=await an(r,e),
{client:i}=n,[o,a]=await $s(r,t,i).catch(m=>{throw e.shelf?.put(n),s(),m}),d=fe(t,i),c=Math.max(n.nextOp,o?.nextOp??1,d?.nextOp??1),h=await v(tn(r,t),"IndexedDB").
catch(()=>{}),p=[...new Map([...a.map(m=>m.entry),...d?.entries??[]].map(m=>[m.key,m])).values()].sort((m,E)=>m.key-E.key);return{db:r,identity:{client:i,nextOp:c},
release:s,entries:p,last:d?.entries??[],kept:h}}async function $s(r,e,t){let n=r.transaction(["seats","ops"]),s=w(n.objectStore("seats").get([e,t])),i=j(e,t),[o,
a]=await v(Promise.all([s,w(n.objectStore("ops").count(i))]),"IndexedDB"),d=w(r.transaction("ops").objectStore("ops").getAll(i));return[o,await v(d,"IndexedDB",
ne(a))]}var yt=class{constructor(e,t){this.options=e;this.identity=t.identity,this.release=t.release,this.reserve=t.identity.nextOp+me,this.durable=t.db!==void 0;
for(let n of t.entries)this.held.set(n.key,n);t.db&&this.attach(t.db);for(let n of t.last)this.save(n);this.keepsLast=t.last.length>0,this.writeSeat()}options;durable;db;identity;release;reserve;held=new Map;writes=new Map;urgent=!1;begun=!1;underWay=new Set;latest=Promise.
resolve();keeper;opening=0;reopenMs=dn;timer;closed=!1;left=!1;keepsLast=!1;attach(e){this.db=e;let t=n=>{this.db===e&&this.failed(new Error(n))};e.onclose=()=>t(
"the browser closed the storage of this page"),e.onversionchange=()=>t("another page changes or deletes the storage")}failed(e,t){let{db:n}=this;this.db=void 0,
this.writes.clear();try{n?.close()}catch{}this.closed||((this.durable||t)&&this.options.problem(`unsaved changes do not outlive this page: ${re(e)}. It is tried\
 again`),this.durable=!1,this.options.changed(),t&&this.await(t),this.reopenLater(e?.name==="QuotaExceededError"))}reopenLater(e=!1){clearTimeout(this.timer),!(this.
closed||this.db)&&(this.timer=setTimeout(()=>{this.opening<qs&&this.await(it(),e),this.reopenLater(e)},this.reopenMs),this.reopenMs=Math.min(Ds,this.reopenMs*2))}await(e,t=!1){
this.opening++,e.then(n=>this.reopened(n,t)).catch(()=>{}).finally(()=>this.opening--)}async reopened(e,t){if(this.closed||this.db)return e.close();this.attach(
e),clearTimeout(this.timer),t&&await W(e).catch(()=>{});try{await this.writeAll(e)}catch(n){this.db===e&&this.failed(n);return}this.db===e&&(this.durable=!0,this.
reopenMs=dn,this.options.changed(),this.begin(),this.keeper?.renewed())}writeAll(e){let{room:t}=this.options,{client:n}=this.identity,s=e.transaction(["seats","\
ops"],"readwrite"),i=s.objectStore("ops");i.delete(j(t,n));for(let o of this.held.values())i.put({room:t,client:n,key:o.key,entry:o});return s.objectStore("seat\
s").put({room:t,client:n,nextOp:this.reserve}),v(T(s),"IndexedDB",ne(this.held.size))}written(){return this.begin(),this.latest}save(e){let{room:t}=this.options,
{client:n}=this.identity;this.held.set(e.key,e),this.write("ops",[t,n,e.key],{room:t,client:n,key:e.key,entry:e})}forget(e){this.held.delete(e.key),this.write("\
ops",[this.options.room,this.identity.client,e.key],void 0)}numbered(e){this.identity={client:this.identity.client,nextOp:e},this.left&&this.options.shelf?.put(
this.identity),!(e<this.reserve-me/2)&&(this.reserve=e+me,this.writeSeat())}writeSeat(){let{room:e}=this.options,{client:t}=this.identity;this.write("seats",[e,
t],{room:e,client:t,nextOp:this.reserve})}write(e,t,n){this.db&&this.writes.set(`${e}/${t.join("/")}`,{table:e,key:t,value:n}),this.left&&this.keepLast(),this.db&&
(this.urgent||=n!==void 0,!(this.begun||this.underWay.size>0&&!this.urgent)&&(this.begun=!0,Promise.resolve().then(()=>this.begin())))}begin(){this.begun=this.urgent=
!1;let{db:e}=this;if(this.writes.size===0||!e)return;let t=this.writes;this.writes=new Map,this.underWay.add(t),this.latest=this.writeBatch(e,t).catch(n=>{this.
db===e&&this.failed(n)}).then(()=>{this.underWay.delete(t),this.keepLast(),this.underWay.size===0&&this.begin()})}keepLast(){if(!this.left&&!this.keepsLast)return;
let{room:e}=this.options,{client:t}=this.identity,n=this.unsure().filter(s=>s.client===t).sort((s,i)=>s.key-i.key);ye(e,t,{nextOp:this.identity.nextOp,entries:n}),
this.keepsLast=n.length>0}unsure(){if(!this.durable)return[...this.held.values()];let e=new Map;for(let t of[...this.underWay,this.writes])for(let[n,{table:s,value:i}]of t)
s==="ops"&&e.set(n,i?.entry);return[...e.values()].filter(t=>t!==void 0)}async writeBatch(e,t){let n=e.transaction(["seats","ops"],"readwrite");for(let{table:i,
key:o,value:a}of t.values()){let d=n.objectStore(i);a===void 0?d.delete(o):d.put(a)}let s=T(n);return n.commit(),v(s,"IndexedDB",ne(t.size))}async changeClient(e,t){
let{room:n}=this.options,s=this.identity.client,i=this.release;this.release=await N(Y(n,e),{ifAvailable:!0})??(()=>{}),this.identity={client:e,nextOp:1},this.reserve=
1+me;for(let o of t)this.write("ops",[n,s,o.key],void 0),this.save(o);this.writeSeat(),await this.written(),i()}follow(e){let{room:t,makeId:n,problem:s}=this.options;
this.keeper=new ue(t,n(),()=>this.db,e,s)}moved(){this.keeper?.moved()}refused(){this.keeper?.stop(),this.db&&W(this.db,this.options.room).catch(()=>{})}leave(){
this.left=!0,this.keeper?.leave(),this.options.shelf?.put(this.identity),this.keepLast()}comeBack(){this.left=!1,this.options.shelf?.take()}close(){this.leave(),
this.closed=!0,this.keeper?.stop(),clearTimeout(this.timer),this.written().then(()=>{this.db?.close(),this.release()})}};var hn=200,ln=24,Hs=new TextDecoder("utf-8",{fatal:!0,ignoreBOM:!0}),Fs=new TextEncoder,mt=Array.from({length:512},()=>{});function un(r){let e=new bt;return e.
value(r),e.bytes.slice(0,e.at)}var bt=class{bytes=new Uint8Array(256);at=0;view=new DataView(this.bytes.buffer);room(e){let{at:t}=this;if(this.at+=e,this.at>this.
bytes.length){let n=new Uint8Array(Math.max(this.at,this.bytes.length*2));n.set(this.bytes),this.bytes=n,this.view=new DataView(n.buffer)}return t}value(e){if(e===
null)this.byte(192);else if(typeof e=="boolean")this.byte(e?195:194);else if(typeof e=="number")this.number(e);else if(typeof e=="string")this.text(e);else if(Array.
isArray(e)){this.head(e.length,144,15,220);for(let t of e)this.value(t)}else if(e instanceof Uint8Array){let t=e;this.byte(198);let n=this.room(4);this.view.setUint32(
n,t.length);let s=this.room(t.length);this.bytes.set(t,s)}else{let t=Object.entries(e).filter(([,n])=>n!==void 0);this.head(t.length,128,15,222);for(let[n,s]of t)
this.text(n),this.value(s)}}byte(e){let t=this.room(1);this.bytes[t]=e}head(e,t,n,s){if(e<=n)return this.byte(t|e);let i=e>65535;this.byte(i?s+1:s);let o=this.room(
i?4:2);i?this.view.setUint32(o,e):this.view.setUint16(o,e)}number(e){let t=Number.isSafeInteger(e)&&!Object.is(e,-0);if(t&&e>=-32&&e<128)return this.byte(e&255);
let n=t&&e===(e|0);this.byte(n?210:t?211:203);let s=this.room(n?4:8);if(n)return this.view.setInt32(s,e);if(!t)return this.view.setFloat64(s,e);this.view.setInt32(
s,Math.floor(e/2**32)),this.view.setUint32(s+4,e>>>0)}text(e){let t=Fs.encode(e);t.length<=31?this.byte(160|t.length):t.length<=255?(this.byte(217),this.byte(t.
length)):this.head(t.length,0,-1,218);let n=this.room(t.length);this.bytes.set(t,n)}};function vt(r){let e=new gt(r),t=e.value(0);if(e.at!==r.length)throw new TypeError(
"bytes after the value");return t}var gt=class{constructor(e){this.bytes=e;this.view=new DataView(e.buffer,e.byteOffset,e.byteLength)}bytes;at=0;isData=!1;view;value(e){
if(e>hn)throw new RangeError(`more than ${hn} levels`);let t=this.view.getUint8(this.at++);return t<128?t:t<144?this.map(t&15,e):t<160?this.array(t&15,e):t<192?
this.text(t&31):t>=224?t-256:this.long(t,e)}long(e,t){let{view:n}=this;switch(e){case 192:return null;case 194:return!1;case 195:return!0;case 196:return this.binary(
this.size(1),t);case 197:return this.binary(this.size(2),t);case 198:return this.binary(this.size(4),t);case 202:return n.getFloat32(this.past(4));case 203:return n.
getFloat64(this.past(8));case 204:return this.size(1);case 205:return this.size(2);case 206:return this.size(4);case 207:return this.size(4)*2**32+this.size(4);case 208:
return n.getInt8(this.past(1));case 209:return n.getInt16(this.past(2));case 210:return n.getInt32(this.past(4));case 211:return n.getInt32(this.past(4))*2**32+
this.size(4);case 217:return this.text(this.size(1));case 218:return this.text(this.size(2));case 219:return this.text(this.size(4));case 220:return this.array(
this.size(2),t);case 221:return this.array(this.size(4),t);case 222:return this.map(this.size(2),t);case 223:return this.map(this.size(4),t);default:throw new TypeError(
`0x${e.toString(16)} is no value that JSON has`)}}past(e){let{at:t}=this;return this.at+=e,t}size(e){let t=this.past(e);return e===1?this.view.getUint8(t):e===2?
this.view.getUint16(t):this.view.getUint32(t)}take(e){let t=this.past(e);if(this.at>this.bytes.length)throw new RangeError("the message is cut short");return t}binary(e,t){
if(t>2&&!this.isData)throw new TypeError("a binary value within a message");return this.bytes.subarray(this.take(e),this.at)}text(e){let t=this.take(e);if(e<=ln){
let n="",s=t;for(;s<this.at&&this.bytes[s]<128;)n+=String.fromCharCode(this.bytes[s++]);if(s===this.at)return n}return Hs.decode(this.bytes.subarray(t,this.at))}name(e){
let{bytes:t}=this,n=t[this.at]^160;if(n>ln){let d=this.value(e);if(typeof d!="string")throw new TypeError("a name must be a string");return d}let s=++this.at,i=t[s]+
31*t[s+n-1]+7*t[s+(n>>1)]+n&mt.length-1,o=mt[i];if(o?.bytes.length===n){let d=0;for(;d<n&&o.bytes[d]===t[s+d];)d++;if(d===n)return this.at=s+n,o.text}let a=this.
text(n);return mt[i]={bytes:t.slice(s,this.at),text:a},a}array(e,t){let n=[];this.isData=!1;for(let s=0;s<e;s++)n.push(this.value(t+1));return n}map(e,t){let n={};
for(let s=0;s<e;s++){let i=this.name(t+1);this.isData=i==="data",y(n,i,this.value(t+1))}return n}};var pn={1:["ack","op","seq","status"],2:["object-create","seq","client","at","op","object"],3:["object-update","seq","client","at","op","id","patch"],4:["object\
-delete","seq","client","at","op","id"],5:["chat","seq","client","at","op","text","reply_to","user"],6:["broadcast","seq","client","at","op","event","data"],8:[
"presence","client","state","away"],10:["log-append","seq","client","at","op","id","data"],11:["log-compact","seq","client","at","op","id","upto","data"]},Ks=7,
fn=9,zs=["client","x","y"],Xs=["ok","dup","ignored"],be=class{clients=new Map;message(e){if(!Array.isArray(e))return this.named(e);let[t,...n]=e;if(t===Ks)return{
type:"cursor-batch",cursors:n.map(d=>this.cursor(d))};let s=typeof t=="number"&&Object.hasOwn(pn,t)?pn[t]:void 0;if(!s)return;let[i,...o]=s,a=this.read(o,n);return a.
type=i,i==="ack"&&(a.status=Xs[a.status]??String(a.status)),i==="broadcast"&&(a.data??=null),a}named(e){if(!l(e))return e;let t=e.type==="welcome"&&Array.isArray(
e.users)?e.users:[];for(let n of e.type==="user-connected"?[e]:t)l(n)&&typeof n.n=="number"&&typeof n.client=="string"&&this.clients.set(n.n,n.client);return e}cursor(e){
if(!Array.isArray(e))throw new TypeError("a cursor must be an array");return this.read(zs,e)}read(e,t){let n={};e.forEach((i,o)=>{let a=t[o];a!=null&&(n[i]=a)});
let s=t[e.length];if(l(s))for(let[i,o]of Object.entries(s))y(n,i,o);if(typeof n.client=="number"){let i=this.clients.get(n.client);if(i===void 0)throw new TypeError(
`nobody has the number ${n.client}`);n.client=i}return n}};var Gs=1024*1024,Vs=1e5,Ys=3e4,yn="msgpack",L={json:"scumble.v1",msgpack:"scumble.v1.msgpack"};function mn(r){return r instanceof ArrayBuffer||ArrayBuffer.isView(
r)?r.byteLength:String(r).length}var ge=class{constructor(e,t,n){this.env=e;this.encoding=t;this.handler=n}env;encoding;handler;waiting=[];unpacker=new be;busy=!1;ended=!1;cancel;heard(e){
let t=ArrayBuffer.isView(e)?new Uint8Array(e.buffer,e.byteOffset,e.byteLength):e instanceof ArrayBuffer?new Uint8Array(e):String(e);this.busy?(this.waiting.push(
t),this.waiting.length>Vs&&this.fail(new RangeError("too many messages behind a compressed one"),!0)):this.read(t)}end(){this.ended=!0,this.cancel?.(),this.waiting.
length=0}read(e){if(this.ended)return;let t;try{if(typeof e!="string"&&this.encoding==="json")return void this.inflate(e);if(t=typeof e=="string"?JSON.parse(e):
vt(e),typeof e!="string"&&Array.isArray(t)&&t[0]===fn){if(!(t[1]instanceof Uint8Array))throw new TypeError("compressed messages must be bytes");return void this.
inflate(t[1])}t=this.plain(t)}catch(n){return this.fail(n,!1)}this.tell(t)}plain(e){return this.encoding==="msgpack"?this.unpacker.message(e):e}tell(e){e!==void 0&&
!this.ended&&this.handler.message(e)}async inflate(e){this.busy=!0;let t;try{if(!this.env.inflate)throw new TypeError("a binary frame that nobody asked for");this.
cancel=this.env.after(Ys,()=>this.fail(new Error("a compressed frame could not be inflated in time"),!0));let n=await this.env.inflate(e,Gs);if(this.cancel(),this.
ended)return;let s=this.encoding==="json"?JSON.parse(new TextDecoder("utf-8",{fatal:!0}).decode(n)):vt(n);if(!Array.isArray(s))throw new TypeError("compressed m\
essages must be a list");t=s.map(i=>this.plain(i))}catch(n){return this.cancel?.(),this.fail(n,!0)}for(let n of t)this.tell(n);for(this.busy=!1;this.waiting.length>
0&&!this.busy;)this.read(this.waiting.shift())}fail(e,t){this.ended||(this.end(),this.handler.garbled(e,t))}};var f=class extends Error{constructor(t,n,s){super(n);this.code=t;this.op=s}code;op;name="ScumbleError"};var wt={status:0,text:""};function bn(r,e,t){let n=Number(t??"");return{status:r,text:e,...n>0&&{retryAfterMs:n*1e3}}}async function Qs({method:r,url:e,headers:t,
body:n,signal:s}){try{let i=await fetch(e,{method:r,headers:t,...n&&{body:n},cache:"no-store",credentials:"omit",redirect:"error",signal:s});return bn(i.status,
await i.text(),i.headers.get("retry-after"))}catch{return wt}}function Zs({method:r,url:e,headers:t,body:n,sent:s,signal:i}){return new Promise(o=>{let a=new XMLHttpRequest;
a.open(r,e);for(let[h,u]of Object.entries(t))a.setRequestHeader(h,u);let d=()=>a.abort(),c=h=>{i.removeEventListener("abort",d),o(h)};if(a.upload.onprogress=({loaded:h})=>s?.(
h),a.onload=()=>c(bn(a.status,a.responseText,a.getResponseHeader("retry-after"))),a.onerror=a.onabort=()=>c(wt),i.addEventListener("abort",d),i.aborted)return c(
wt);a.send(n??null)})}var gn=r=>r.sent&&typeof XMLHttpRequest=="function"?Zs(r):Qs(r);var er=/^asset:[0-9a-f]{64}$/,tr=2,vn=500,nr=3e4,wn=3,sr=5*6e4,rr=2e3,ir={400:"bad-message",401:"unauthorized",403:"forbidden",404:"no-assets",413:"too-large",415:"\
bad-type",422:"wrong-hash",507:"no-space"};function Ot(r,e,t=""){let n=new URL(r);return n.protocol=n.protocol.replace("ws","http"),n.pathname=n.pathname.replace(
/\/ws\/([^/]*)$/,(s,i)=>`/assets/${i}/${e}${t}`),n.href}var ve=class{constructor(e,t,n,s=gn){this.env=e;this.room=t;this.queue=n;this.ask=s;this.load()}env;room;queue;ask;waiting=[];uploads=new Map;locals=new Map;urls=new Map;asking=new Map;refusedToken=!1;closed=!1;async load(){
try{for(let e of await this.queue.load())this.closed||this.begin(e)}catch(e){this.room.problem({code:"storage",message:`uploads that waited could not be read: ${String(
e)}`})}}async idOf(e){let{crypto:t}=globalThis;if(!t?.subtle)throw new f("insecure","assets are named by a hash, which browsers make for pages over HTTPS (or of\
 this host) only");let n=new Uint8Array(await t.subtle.digest("SHA-256",await e.arrayBuffer()));return`asset:${Array.from(n,s=>s.toString(16).padStart(2,"0")).join(
"")}`}async upload(e,t={}){if(!(e instanceof Blob))throw new TypeError("upload needs a Blob or a File");let{onProgress:n,signal:s,type:i=e.type}=t;if(typeof i!=
"string"||i==="")throw new TypeError('an asset needs a type, like "image/png": that of the blob, or options.type');if(n!==void 0&&typeof n!="function")throw new TypeError(
"onProgress must be a function");s?.throwIfAborted();let o=this.room.limits().max_asset_bytes;if(o!==void 0&&e.size>o)throw new f("too-large",`an asset has at m\
ost ${o} bytes, and this one ${e.size}`);let a=await this.idOf(e);if(s?.throwIfAborted(),this.closed)throw new f("closed","the room is closed");let d=this.uploads.
get(a)??this.begin({id:a,blob:e,type:i},this.checkRoom(e));return n&&d.listeners.add(n),this.wait(d,n,s)}checkRoom(e){let t=this.waiting.reduce((n,{bytes:s})=>n+
s,e.size);if(this.uploads.size>=K||t>at)throw new f("full",`at most ${K} uploads of ${at} bytes wait here: come again when some are done`);return!0}wait(e,t,n){
return e.users++,new Promise((s,i)=>{let o=()=>{t&&e.listeners.delete(t),n?.removeEventListener("abort",a)},a=()=>{o(),i(n?.reason),--e.users===0&&this.end(e,()=>{})};
n?.addEventListener("abort",a),e.done.finally(o).then(s,i)})}begin({id:e,blob:t,type:n},s=!1){let i,o=new Promise((c,h)=>i={resolve:c,reject:h});o.catch(()=>{});
let a={id:e,blob:t,type:n,done:o,settle:i,listeners:new Set,given:new AbortController,users:0,failures:0,refusals:0,flying:!1,cancelAgain:()=>{}};return this.uploads.
set(e,a),this.tell(),(s?this.queue.add({id:e,blob:t,type:n}):Promise.resolve()).catch(c=>this.room.problem({code:"storage",message:`an upload does not outlive t\
his page: ${String(c)}`})),this.next(),a}wakened(){for(let e of this.uploads.values())e.cancelAgain();this.next()}next(){if(this.closed)return;let e=0;for(let{flying:t}of this.
uploads.values())e+=Number(t);for(let t of this.uploads.values()){if(e>=tr)return;t.flying||(t.flying=!0,e++,this.send(t))}}async send(e){let{id:t,blob:n,type:s,
given:i}=e,o=await this.request("PUT",t,"",{headers:{"content-type":s},body:n,sent:h=>e.listeners.forEach(u=>u({sent:h,total:n.size})),signal:i.signal});if(this.
uploads.get(t)!==e)return;if(o.status===200||o.status===201)return this.arrived(e,o);let a=this.refused(o);if(a&&this.isFinal(o.status,e))return this.end(e,()=>e.
settle.reject(a));let d=Math.min(nr,vn*2**e.failures++)*(.5+this.env.random()/2),c=this.env.after(Math.max(d,o.retryAfterMs??0),()=>e.cancelAgain());e.cancelAgain=
()=>{c(),e.cancelAgain=()=>{},e.flying=!1,this.next()}}isFinal(e,t){return e===0||e===408||e===429||e>=500&&e!==507?!1:e===401||e===422?++t.refusals>=wn:!0}arrived(e,t){
let{id:n,blob:s,type:i}=e;e.listeners.forEach(o=>o({sent:s.size,total:s.size})),this.remember(n,t),this.end(e,()=>e.settle.resolve({id:n,bytes:s.size,type:i}))}end(e,t){
this.uploads.get(e.id)===e&&(this.uploads.delete(e.id),e.given.abort(),e.cancelAgain(),this.queue.remove(e.id).catch(()=>{}),t(),this.tell(),this.next())}tell(){
this.waiting=[...this.uploads.values()].map(({id:e,blob:t,type:n})=>({id:e,bytes:t.size,type:n})),this.room.changed(this.waiting)}async request(e,t,n,s){let i;try{
i=await this.room.token(this.refusedToken)}catch{return{status:0,text:""}}let o={...s.headers,...i!==void 0&&{authorization:`Bearer ${i}`}},a=await this.ask({...s,
method:e,url:Ot(this.room.socketUrl,t.slice(6),n),headers:o});return this.refusedToken=a.status===401,a}refused({status:e,text:t}){if(e===0)return;let n={};try{
n=JSON.parse(t)}catch{}let s=typeof n.error=="string"&&e!==400?n.error:ir[e]??"refused",i=e===413?": a proxy before the relay takes no larger bodies":"";return new f(
s,typeof n.message=="string"?n.message:`the server answers ${e}${i}`)}async url(e){if(typeof e!="string"||!er.test(e))throw new TypeError(`an asset's id is like\
 asset: and 64 hexadecimal digits, not ${String(e).slice(0,80)}`);if(this.closed)throw new f("closed","the room is closed");let t=this.uploads.get(e),n=this.locals.
get(e);if(n!==void 0)return n;if(t&&typeof URL.createObjectURL=="function"){this.forgetLocals();let o=URL.createObjectURL(t.blob);return this.locals.set(e,o),o}
if(!this.room.hasToken())return Ot(this.room.socketUrl,e.slice(6));let s=this.urls.get(e);if(s&&s.until>this.env.date()+sr)return s.url;let i=this.asking.get(e)??
this.askForUrl(e).finally(()=>this.asking.delete(e));return this.asking.set(e,i),i}forgetLocals(){for(let[e,t]of this.locals){if(this.locals.size<K)return;this.
uploads.has(e)||(URL.revokeObjectURL(t),this.locals.delete(e))}}async askForUrl(e){for(let t=1;;t++){let n=await this.request("POST",e,"/link",{signal:new AbortController().
signal}),s=n.status===200?this.remember(e,n):void 0;if(s!==void 0)return s;if(!(n.status===0||n.status===401||n.status===429||n.status>=500)||t===wn)throw this.
refused(n)??new f("unreachable","the relay does not answer: the asset can't be shown");await new Promise(o=>{this.env.after(n.retryAfterMs??vn*t,o)})}}remember(e,{
text:t}){try{let{url:n,expires_in_ms:s}=JSON.parse(t);if(typeof n!="string"||typeof s!="number")return;let i=new URL(Ot(this.room.socketUrl,e.slice(6)));return i.
search=n.slice(n.indexOf("?")),this.urls.size>=rr&&this.urls.clear(),this.urls.set(e,{url:i.href,until:this.env.date()+s}),i.href}catch{return}}close(){if(!this.
closed){this.closed=!0;for(let e of this.uploads.values())e.given.abort(),e.cancelAgain(),e.settle.reject(new f("closed","the room was closed before the upload \
was done"));this.uploads.clear();for(let e of this.locals.values())URL.revokeObjectURL(e);this.locals.clear()}}};function kt(r,e){let t={},n={};for(let s of Object.keys(e)){let[i,o]=[k(r,s),e[s]];if(o!==void 0)if(l(i)&&l(o)){let a=kt(i,o);y(t,s,a.before),y(n,s,a.after)}else
y(t,s,i??null),y(n,s,P(void 0,o))}return{before:t,after:n}}var we=(r,e)=>l(r)&&l(e);function Q({before:r,after:e},t=[]){return Object.keys(e).flatMap(n=>{let[s,
i]=[k(r,n),k(e,n)],o=[...t,n];return we(s,i)?Q({before:s,after:i},o):[o]})}function Et(r,e=[]){return Object.keys(r).flatMap(t=>{let n=r[t];if(n===void 0)return[];
let s=[...e,t];return l(n)&&Object.keys(n).length>0?Et(n,s):[[s,n]]})}function b(r,e){let t=r;for(let n of e){if(!l(t))return;t=k(t,n)}return t}function O(r,e,t,n=!1){
let[s,...i]=e,o={...r},a=k(r,s),d=i.length>0?O(l(a)?a:{},i,t,n):t;return d===void 0||d===null&&!n?delete o[s]:y(o,s,d),o}function Oe({before:r,after:e},t){for(let n=1;n<=
t.length;n++){let s=t.slice(0,n),[i,o]=[b(r,s),b(e,s)];if(o===void 0)return;if(n===t.length||!we(i,o))return s}}var On=(r,e)=>Oe(r,e)!==void 0;function St(r,e,t){
let n=Oe(r,e);if(!n||l(t)&&Object.keys(t).length===0&&l(b(r.before,e)))return r;if(n.length===e.length){let o=we(b(r.before,n),b(r.after,n))&&!l(t)?O(r.after,n,
P(void 0,b(r.after,n)),!0):r.after;return{before:O(r.before,n,t??null,!0),after:o}}let s=b(r.before,n);return{...r,before:O(r.before,n,O(l(s)?s:{},e.slice(n.length),
t),!0)}}function kn(r,e){let t=Oe(r,e);return t?{before:O(r.before,t,void 0),after:O(r.after,t,void 0)}:r}function En(r,e){let{before:t,after:n}=r;for(let s of Q(
e)){let i=Oe(r,s);if(i&&(i.length!==s.length||we(b(t,i),b(n,i))))return;i||(t=O(t,s,b(e.before,s),!0)),n=O(n,s,b(e.after,s),!0)}return{before:t,after:n}}var x=({unset:r,set:e,append:t})=>r!==void 0||e!==void 0||t!==void 0;function U(r){let e=[],t="";for(let n=0;n<=r.length;n++){let s=r[n];if(s===void 0||s==="."){
if(t==="")throw new RangeError(`${JSON.stringify(r)}: a path has no empty names`);e.push(t),t=""}else if(s==="\\"){let i=r[++n];if(i!=="."&&i!=="\\")throw new RangeError(
`${JSON.stringify(r)}: a backslash stands before a dot or a backslash only`);t+=i}else t+=s}return e}var $=Symbol("clash");function xt(r,e,t){let[n,...s]=e;if(n===
void 0)return t(r);if(r!==void 0&&!l(r))return $;let i=r??{},o=xt(k(i,n),s,t);if(o===$)return $;let a={...i};return y(a,n,o),a}function Sn(r,e){let[t,...n]=e,s=k(
r,t);if(s===void 0||n.length>0&&!l(s))return r;if(n.length>0){let i={...r};return y(i,t,Sn(s,n)),i}return Object.fromEntries(Object.entries(r).filter(([i])=>i!==
t))}function xn(r,e){return r===void 0?e:typeof r=="string"&&typeof e=="string"?r+e:Array.isArray(r)&&Array.isArray(e)?[...r,...e]:void 0}function jt(r,e){let t=P(
r,e.patch);if(!x(e))return t;let n=t;for(let s of e.unset??[])n=Sn(n,U(s));for(let[s,i]of Object.entries(e.set??{}))if(n=xt(n,U(s),()=>i),n===$)return r;for(let[
s,i]of Object.entries(e.append??{}))if(n=xt(n,U(s),o=>xn(o,i)??$),n===$)return r;return n}function J(r,e){if(!x(e))return e.patch;let t=jt(r,e),n=e.patch,s=d=>{
let[c,h]=[b(r,d),b(t,d)];n=O(n,d,l(c)&&l(h)?X(c,h):h??null,!0)},{unset:i=[],set:o={},append:a={}}=e;for(let d of[...i,...Object.keys(o),...Object.keys(a)])s(U(d));
return n}function jn(r,e){if(Object.keys(r.patch).length>0||Object.keys(e.patch).length>0||(r.set??r.unset??e.set??e.unset))return;let t={...r.append};for(let[n,
s]of Object.entries(e.append??{})){let i=xn(k(t,n),s);if(i===void 0)return;y(t,n,i)}return{patch:{},append:t}}function g(r){return r.type==="object-create"?r.object.id:r.type==="object-update"||r.type==="object-delete"?r.id:void 0}function At({op:r,body:e}){let{type:t,...n}=e,
s=e.type==="object-update"&&x(e)&&Object.keys(e.patch).length===0;try{return JSON.stringify({type:t,op:r,...n,...s&&{patch:void 0}})}catch{return}}var H=class{constructor(e,t){this.entry=e;this.actions=t;this.renew(),e.error&&this.fail(e.error.code,e.error.message)}entry;actions;promise;resolve;reject;ended;get key(){
return this.entry.key}get type(){return this.entry.body.type}get objectId(){let{body:e}=this.entry;return"id"in e?e.id:g(e)}get state(){return this.ended?"faile\
d":this.entry.state}get error(){return this.ended??this.entry.error}get refusals(){return this.entry.refusals}get done(){return this.promise}retry(){this.ended||
this.entry.state!=="failed"||(this.renew(),this.actions.retry(this.entry))}discard(){return this.actions.discard(this.entry)}settle(e){this.resolve(e)}fail(e,t){
this.reject(new f(e,t,this))}end(e,t){this.ended=(e==="discarded"?void 0:this.ended??this.entry.error)??{code:e,message:t},this.fail(e,t)}renew(){this.promise=new Promise(
(e,t)=>{this.resolve=e,this.reject=t}),this.promise.catch(()=>{})}};function or(r,e){if(e.type==="object-create")return A(r.get(e.object.id),e.object)?void 0:e;let t=e.type==="object-update"?r.get(e.id):void 0;if(!t||e.type!=="o\
bject-update"||x(e))return e;let n=G(t,e.patch);return Object.keys(n).length>0?{...e,patch:n}:void 0}function Mn(r,e,t,n,s){let i=d=>{let c=or(r,d);return c?e(c):
t(d)},o=(d,c)=>i({type:"object-update",id:a(d),patch:{},...c}),a=d=>M(d,"id",ae);return{get size(){return r.size},get:d=>r.get(d),has:d=>r.get(d)!==void 0,ids:()=>r.
all().map(({id:d})=>d),values:()=>r.all().values(),[Symbol.iterator]:()=>r.all().values(),all:()=>r.all(),confirmed:d=>r.confirmed(d),create:d=>{let c=R(d,"an o\
bject",s()),h=c.id===void 0?n():a(c.id),u=M(c.kind,"kind",de);return i({type:"object-create",object:{...c,id:h,kind:u}})},update:(d,c)=>{let h=R(c,"a patch",s());
if(h.id!==void 0&&h.id!==d)throw new TypeError("a patch must not change the id");return h.kind!==void 0&&M(h.kind,"kind",de),i({type:"object-update",id:a(d),patch:h})},
set:(d,c)=>o(d,{set:An(c,"values",s(),d)}),unset:(d,c)=>o(d,{unset:ar(c)}),append:(d,c)=>{let h=An(c,"tails",s(),d);for(let[u,p]of Object.entries(h)){if(typeof p!=
"string"&&!Array.isArray(p))throw new TypeError(`${u}: only an array or a text can be appended`);if(u==="id"||u==="kind")throw new TypeError(`${u} can't be appe\
nded to`)}return o(d,{append:h})},delete:d=>i({type:"object-delete",id:a(d)})}}var ke=1e3;function An(r,e,t,n){if(!l(r))throw new TypeError(`${e} must be an obj\
ect`);let s=R(r,e,t),i=Object.keys(s).map(o=>[o,JSON.stringify(U(o)).slice(0,-1)]);if(i.length>ke)throw new RangeError(`an update has at most ${ke} paths`);i.sort(
([,o],[,a])=>o<a?-1:1);for(let[o,[a,d]]of i.entries()){let c=i[o+1];if(c&&(c[1]===d||c[1].startsWith(`${d},`)))throw new RangeError(`${c[0]} is within ${a}`)}if(s.
id!==void 0&&s.id!==n)throw new TypeError("the id can't be changed");return s.kind!==void 0&&M(s.kind,"kind",de),s}function ar(r){let e=Array.isArray(r)?r:[r];if(e.
length>ke)throw new RangeError(`an update has at most ${ke} paths`);return e.map(t=>{if(typeof t!="string")throw new TypeError("a path must be a string");if(t===
"id"||t==="kind")throw new TypeError(`an object always has its ${t}`);return U(t),t})}function _n(r,e){return{get messages(){return r.messages},send:(t,n)=>{if(t instanceof
H)return t.retry(),t;let s={type:"chat",text:M(t,"text",Kt)};l(n)&&_(n,["replyTo"],"send");let i=n?.replyTo;return e(i===void 0?s:{...s,reply_to:zt(i)})}}}function Tn(r,e){let t=[],[n,s,i]=[!1,!1,!1],o=()=>{if(s=!1,i)return;let d={ids:[...new Set(t.map(({id:c})=>c))],changes:t,reset:n};t=[],n=!1,r(d)};return{hear:d=>{
for(let c of d.changes)t.push(c);n||=d.reset,!s&&(s=!0,e(o))},stop:()=>i=!0}}function Se(r){try{return String(r)}catch{return"something that has no text"}}var In=["status","sync","objects","log","others","cursors","chat","broadcast","sig\
nal","outbox","history","storage","error"],Ee=class{constructor(e){this.nextFrame=e}nextFrame;listeners=new Map;on(e,t,n={}){let{batch:s}=n;if(_(n,["batch"],"on"),
!In.includes(e))throw new TypeError(`there is no event ${JSON.stringify(e)}, but ${In.join(", ")}`);if(typeof t!="function")throw new TypeError(`a listener of "${e}\
" must be a function`);if(s===void 0)return this.add(e,t);if(s!=="frame"||e!=="objects")throw new TypeError('batch is "frame", and for "objects" only');let i=c=>this.
call(e,t,c),{hear:o,stop:a}=Tn(i,this.nextFrame),d=this.add("objects",o);return()=>(a(),d())}add(e,t){let n=this.listeners.get(e)??new Set;return this.listeners.
set(e,n),n.add(t),()=>n.delete(t)}tell(e,t){this.listeners.get(e)?.size&&this.emit(e,t())}emit(e,t){for(let n of[...this.listeners.get(e)??[]])this.call(e,n,t)}call(e,t,n){
try{t(n)}catch(s){e!=="error"&&this.emit("error",new f("listener",`a listener of "${e}" threw: ${Se(s)}`))}}};var dr={400:4400,403:4403,413:1009},cr=new TextEncoder;function xe(r,e,t){let n=new URL(r);return n.protocol=n.protocol.replace("ws","http"),n.pathname=n.pathname.
replace(/\/ws\/([^/]*)$/,(s,i)=>`/sse/${i}${e===void 0?"":`/${e}`}`),t!==void 0&&n.searchParams.set("post",String(t)),n.href}var je=class{constructor(e,t,n,s){this.
env=e;this.request=t;this.url=n;this.cancelStream=t(xe(n),s,{status:i=>{this.status=i,i===200&&this.onopen?.()},piece:i=>this.piece(i),ended:()=>this.end(1006,"")})}env;request;url;greeted=!0;protocol="\
scumble.v1";onopen=null;onmessage=null;onclose=null;onerror=null;session;queue=[];queuedBytes=0;flying;posted=0;budget=61440;asked=!1;pumping=!1;leaving=!1;over=!1;status=0;text="";searched=0;cancelStream;cancelPost;cancelTimer;cancelGoodbye;get bufferedAmount(){
return this.queuedBytes+(this.flying?.bytes??0)}send(e){if(this.over||this.leaving)throw new Error("the stream is closed");this.queue.push(e),this.queuedBytes+=
e.length,this.pump()}close(e){if(!this.over){if(this.onmessage=this.onopen=null,e!==1e3||this.session===void 0)return this.stop();this.leaving=!0,this.cancelGoodbye=
this.env.after(5e3,()=>this.stop())}}stop(){this.over=!0,this.queue.length=this.queuedBytes=0,this.flying=void 0,this.cancelStream(),this.cancelPost?.(),this.cancelTimer?.(),
this.cancelGoodbye?.()}end(e,t){this.over||(this.stop(),this.status!==200&&this.status!==0&&([e,t]=this.refusal(this.status,this.text)),this.onclose?.({code:e,reason:t}))}refusal(e,t){
try{let{error:n,message:s}=JSON.parse(t);if(typeof n=="string")return[dr[e]??1006,`the server answers ${e}: ${String(s)}`]}catch{}return[1006,`the server answer\
s ${e}`]}piece(e){if(this.over)return;if(this.status!==200){this.text=(this.text+e).slice(0,4096);return}this.text+=e;let t=0;for(;;){let n=this.text.indexOf(`

`,Math.max(t,this.searched-1));if(n<0)break;if(this.event(this.text.slice(t,n)),this.over)return;this.searched=t=n+2}this.text=this.text.slice(t),this.searched=
this.text.length,this.text.length>67108864&&this.end(1009,"an event without an end")}event(e){let t="",n="";for(let s of e.split(`
`))s.startsWith("data:")?n+=s.slice(5).trimStart():s.startsWith("event:")&&(t=s.slice(6).trim());switch(t){case"":n&&this.onmessage?.({data:n});return;case"sess\
ion":return this.session=this.field(n,"session"),this.pump();case"ping":return this.asked=!0,this.pump();case"taken":return this.taken(Number(n));case"close":return this.
end(Number(this.field(n,"code")),this.field(n,"reason"))}}field(e,t){try{return String(JSON.parse(e)[t]??"")}catch{return""}}pump(){this.pumping||(this.pumping=
!0,Promise.resolve().then(()=>{this.pumping=!1,this.next()}))}next(){if(this.over||this.flying||this.session===void 0||this.queue.length===0&&!this.asked)return;
this.asked=!1;let e=[],t=2;for(let s of this.queue){if(t+=cr.encode(s).length+1,e.length>0&&t>this.budget)break;e.push(s)}let n=e.reduce((s,i)=>s+i.length,0);this.
queue.splice(0,e.length),this.queuedBytes-=n,this.flying={number:++this.posted,messages:e,bytes:n,tries:0},this.post(this.flying)}post(e){if(this.over||this.session===
void 0)return;if(++e.tries>5)return this.end(1006,"nobody takes what is posted");this.cancelPost?.();let t=0,n=s=>this.retryIn(e,s);this.cancelPost=this.request(
xe(this.url,this.session,e.number),`[${e.messages.join()}]`,{status:s=>t=s,piece:()=>{},ended:()=>{this.flying===e&&(t===410||t===404?this.end(1006,"the server \
does not know the stream any more"):t===413?this.shrink(e):n(t===202||t===409?4e3:500*e.tries))}}),n(3*4e3)}retryIn(e,t){this.cancelTimer?.(),this.cancelTimer=this.
env.after(t,()=>this.flying===e&&this.post(e))}shrink(e){if(e.messages.length<=1)return this.end(1009,"a message is larger than the server takes");this.budget=Math.
max(1,Math.floor(Math.min(this.budget,e.bytes)/2)),this.queue.unshift(...e.messages),this.queuedBytes+=e.bytes,this.flying=void 0,this.posted--,this.next()}taken(e){
this.flying?.number===e&&(this.cancelTimer?.(),this.flying=void 0,this.next())}};var Ae=class{patienceMs=3e4;quick=!0;bytes=0;windowAt=0;heardAt=0;askedAt;doubtedUntil;buffered=0;get openWithinMs(){return 1e4*this.patienceMs/3e4}opened(e){this.
bytes=this.buffered=0,this.windowAt=this.heardAt=e,this.askedAt=this.doubtedUntil=void 0}heard(e,t){this.bytes+=e,this.heardAt=t,this.doubtedUntil=void 0}get asked(){
return this.askedAt!==void 0}ask(e,t,n){this.askedAt===void 0&&!t.joining&&(this.bytes=0,this.windowAt=e),this.askedAt??=e;let s=!t.joining&&t.unanswered<=4096&&
t.buffered===0;n!==void 0&&s&&this.quick&&(this.doubtedUntil=Math.min(this.doubtedUntil??1/0,e+n))}answered(e){this.askedAt!==void 0&&(this.quick=e-this.askedAt<=
1e3,this.askedAt=void 0)}arrived(){this.patienceMs=3e4}quietMs(e){return e-this.heardAt}get dueAt(){return Math.min(this.doubtedUntil??1/0,this.windowAt+this.patienceMs)}dead(e,t){
return this.buffered>0&&t.buffered>0&&(this.bytes+=Math.max(0,this.buffered-t.buffered)),this.buffered=t.buffered,this.doubtedUntil!==void 0&&e>=this.doubtedUntil?
(this.quick=!1,!0):!(t.joining||this.askedAt!==void 0)||this.bytes>=1024||!t.joining&&this.heardAt>this.windowAt?(this.bytes=0,this.windowAt=e,!1):e-this.windowAt<
this.patienceMs?!1:(this.gaveUp(t.joining),!0)}gaveUp(e){e&&(this.patienceMs=Math.min(3e5,this.patienceMs*2))}};var Rn=8192;function Mt(r){return typeof r=="string"?Uint8Array.from(atob(r),e=>e.charCodeAt(0)):r.slice()}function Pn(r){let e="";for(let t=0;t<r.length;t+=Rn)
e+=String.fromCharCode(...r.subarray(t,t+Rn));return btoa(e)}var Ln=r=>r.type==="log-append"||r.type==="log-compact";function _t(r){let{type:e,ops:t,data:n}=r;return e===
"batch"&&Array.isArray(t)?{...r,ops:t.map(_t)}:!Ln({type:String(e)})||typeof n!="string"?r:{...r,data:Mt(n)}}var hr=[],Me=class{logs=new Map;events=[];entries(e){
let t=this.logs.get(e);return t?t.list??=[...t.entries]:hr}get any(){return this.logs.size>0}at(e){let t=this.logs.get(e)??{entries:[],list:void 0};return this.
logs.set(e,t),t.list=void 0,t}heard(e,t,n,s){if(e.type==="object-delete"&&this.gone(e.id),!Ln(e))return;let{id:i}=e,o=this.at(i),a=e.data===void 0?[]:[Mt(e.data)];
if(e.type==="log-append"){let d=a.map(c=>({seq:t,data:c}));o.entries.push(...d),this.events.push({id:i,type:"append",entries:d,client:n,own:s})}else{let{upto:d}=e,
c=a.map(h=>({seq:d,data:h}));o.entries=[...c,...o.entries.filter(h=>h.seq>d)],this.events.push({id:i,type:"compact",entries:c,upto:d,client:n,own:s})}}gone(e){this.
logs.delete(e)&&this.tellReset(e)}snapshot(e,t){let n=new Set(t??this.logs.keys());for(let s of n)this.logs.delete(s);for(let{id:s,seq:i,data:o}of e)this.at(s).
entries.push({seq:i,data:Mt(o)}),n.add(s);for(let s of n)this.tellReset(s)}tellReset(e){this.events.push({id:e,type:"reset",entries:this.entries(e),client:"",own:!1})}take(){
let{events:e}=this;return e.length>0&&(this.events=[]),e}};function Un(r,e,t,n){let s=M(r,"id",ae);return{id:s,get entries(){return e.logs.entries(s)},append:i=>t(
{type:"log-append",id:s,data:Pn(Cn(i))}),compact:(i,o)=>{if(!Number.isSafeInteger(i)||i<1)throw new RangeError("upto must be the seq of an entry");let a=o!==void 0&&
{data:Pn(Cn(o))};return t({type:"log-compact",id:s,epoch:e.epoch,upto:i,...a})},on:(i,o)=>{if(!["append","compact","reset"].includes(i))throw new TypeError(`the\
re is no event ${JSON.stringify(i)}, but append, compact, reset`);if(typeof o!="function")throw new TypeError(`a listener of "${i}" must be a function`);return n(
a=>{a.id===s&&a.type===i&&o(a)})}}}function Cn(r){if(!(r instanceof Uint8Array))throw new TypeError("data must be a Uint8Array");if(r.length===0)throw new RangeError(
"data must have at least one byte");return r}var _e=class{constructor(e,t,n){this.env=e;this.url=t;this.tell=n}env;url;tell;cancel;told=!1;open=!1;closed;number=0;attempt(){if(this.told||this.cancel)return;
let{number:e}=this;this.cancel=this.env.after(2e3,()=>{if(!this.open)return void this.look(e);this.cancel=this.env.after(2e3,()=>{this.cancel=void 0,this.open&&
this.say("something takes the connection there, but has not said anything yet. It is waited for")})})}opened(){this.open=!0}lost(e,t){this.open&&(this.closed=`t\
he connection is closed before the server says anything (${e}${t&&`, ${t}`})`),this.open=!1}over(){this.cancel?.(),this.cancel=void 0,this.told=this.open=!1,this.
closed=void 0,this.number++}async look(e){let t=this.closed??await this.reason();e!==this.number||this.told||(this.cancel=void 0,!this.open&&this.say(`${t}. It \
is tried again`))}say(e){this.told=!0;let[t]=this.url.split("?");this.tell({code:"unreachable",message:`no connection to ${t}: ${e}`})}reason(){return new Promise(
e=>{this.env.after(2e3,()=>e("nothing answers there")),this.env.diagnose(this.url).then(e,()=>e("nothing answers there"))})}};function Z(r){return typeof r=="number"&&r>0?Math.min(r,3e5):0}var Te=class{constructor(e){this.abilities=e}abilities;attempt=0;notBefore=-1/0;welcomedAt;refusedTokens=0;replacedAt=[];welcomed(e){
this.welcomedAt=e,this.refusedTokens=0}stayAway(e,t){this.notBefore=Math.max(this.notBefore,t+e)}away(e){return Math.max(0,this.notBefore-e)}wakened(e){return this.
attempt=0,this.away(e)}closed(e,t,n,s){let i=this.welcomedAt===void 0?0:n-this.welcomedAt;this.welcomedAt=void 0,i>=5e3&&(this.attempt=0);let o=t?`: ${t}`:"";return e===
4401?this.unauthorized(o,n,s):e===4409?this.replaced(n,s):e===4413?(this.attempt=Math.max(this.attempt,4),{...this.wait(n,s),problem:{code:"full",message:t||"th\
e canvas or the server is full"}}):e===1009||e>=4400&&e<4500?{type:"stop",final:e!==4403||!this.abilities.hasToken(),code:"refused",message:`closed with ${e}${o}`}:
this.wait(n,s)}wait(e,t){let n=Math.min(1e4,250*2**this.attempt);return this.attempt++,{type:"wait",ms:Math.max(t*n,this.notBefore-e)}}unauthorized(e,t,n){return this.
refusedTokens++,!this.abilities.canRenewToken||this.refusedTokens>=3?{type:"stop",final:!1,code:"unauthorized",message:`the token is missing, wrong or expired${e}`}:
this.wait(t,n)}replaced(e,t){return this.replacedAt=this.replacedAt.filter(n=>e-n<6e4),this.replacedAt.push(e),!this.abilities.canChangeIdentity||this.replacedAt.
length>3?{type:"stop",final:!0,code:"replaced",message:"another connection uses the same client id"}:{...this.wait(e,t),newIdentity:!0}}};var Ie=class{constructor(e,t){this.wanted=e;this.ask=t}wanted;ask;current="websocket";blockedAt;reachable=!1;asking=!1;get chooses(){return this.wanted==="auto"&&
this.ask!==void 0}next(e){let t=this.blockedAt!==void 0&&e-this.blockedAt<3e5;return this.current=this.wanted==="sse"||this.chooses&&t?"sse":"websocket"}opened(){
this.reachable=!1,this.current==="websocket"&&(this.blockedAt=void 0)}failed(e){this.chooses&&(this.current==="sse"?(this.blockedAt=void 0,this.reachable=!1):this.
reachable||this.blockedAt!==void 0?(this.blockedAt=e,this.reachable=!1):this.look())}look(){this.asking||(this.asking=!0,this.ask?.(e=>{this.asking=!1,this.reachable=
e}))}get triesAgainInMs(){return this.chooses&&this.current==="sse"?3e5:void 0}tried(e,t){this.blockedAt=e?void 0:t}};var Jn=15e3,Tt=5e3,pr=1e4,fr=1e3,yr=5e3,mr={code:"unreachable",message:"the canvas stopped coming half way: the server, or the line, brings nothing more. It is \
tried again"},br=3,gr=4e3,Re=class{constructor(e,t,n,s,i={}){this.env=e;this.url=t;this.handler=n;this.encoding=i.encoding??yn,this.compress=i.compress!==!1&&e.
inflate!==void 0,this.policy=new Te(s);let{request:o}=e;this.transports=new Ie(i.transport??"auto",o&&(a=>{let d=0;o(xe(t),void 0,{status:c=>d=c,piece:()=>{},ended:()=>a(
d===405)})})),this.outage=new _e(e,t,a=>n.problem(a))}env;url;handler;status="connecting";stopped;socket;inbox;encoding;compress;spoken="json";policy;cancelRetry;liveness=new Ae;outage;cancelOpening;cancelWatch;cancelGoaway;transports;cancelTrial;lookDueAt=0;lookedTwice=!1;heartbeatMs=Jn;unfinished=0;ended=!1;opened=!1;generation=0;get bufferedBytes(){
return this.socket?.bufferedAmount??0}get transport(){return this.connected?this.transports.current:void 0}get connected(){return this.status==="connected"}connect(){
if(this.cancelRetry?.(),this.cancelRetry=void 0,this.ended||this.socket)return;let e=++this.generation;this.handler.token().then(t=>{e===this.generation&&!this.
ended&&this.open(this.handler.hello(t,this.compress?["deflate-raw"]:[]))},t=>{e!==this.generation||this.ended||(this.handler.problem({code:"unauthorized",message:`\
no token: ${Se(t)}`}),this.closed(1006,""))})}open(e){let t;try{t=this.lineFor(e)}catch(n){let s={code:"no-socket",message:`no connection could be made: ${Se(n)}`};
this.cancelRetry=this.env.after(0,()=>this.stop({...s,final:!0}));return}this.socket=t,t.binaryType="arraybuffer",t.onopen=()=>{t===this.socket&&(this.cancelOpening?.(),
this.transports.opened(),this.opened=!0,this.outage.opened(),this.liveness.opened(this.env.now()),this.spoken=t.protocol===L.msgpack?"msgpack":"json",this.inbox=
this.makeInbox(this.spoken),t.greeted||t.send(this.written(e)),this.watch())},t.onmessage=({data:n})=>{t===this.socket&&(this.liveness.heard(mn(n),this.env.now()),
this.inbox?.heard(n))},t.onclose=({code:n,reason:s})=>{t===this.socket&&this.closed(n,s)},t.onerror=()=>{},this.outage.attempt(),this.cancelOpening=this.env.after(
this.liveness.openWithinMs,()=>{this.liveness.gaveUp(!0),this.drop()})}lineFor(e){let{request:t}=this.env;if(this.transports.next(this.env.now())==="websocket")
return this.env.openSocket(this.url,this.protocols);if(!t)throw new TypeError("there is no fetch here, which a stream of events needs");return new je(this.env,t,
this.url,e)}tryLater(){let{triesAgainInMs:e}=this.transports;this.cancelTrial?.(),e!==void 0&&(this.cancelTrial=this.env.after(e,()=>{let t=this.env.openSocket(
this.url,this.protocols),n=i=>{s(),this.cancelTrial=void 0,t.onopen=t.onclose=null,this.hangUp(t,1e3,""),this.transports.tried(i,this.env.now()),i?this.drop():this.
tryLater()},s=this.env.after(this.liveness.openWithinMs,()=>n(!1));this.cancelTrial=()=>{s(),t.onopen=t.onclose=null,t.close()},t.onopen=()=>n(!0),t.onclose=()=>n(
!1),t.onerror=()=>{}}))}get protocols(){return this.encoding==="json"?[L.json]:[L.msgpack,L.json]}written(e){return this.spoken==="json"?e:un(_t(JSON.parse(e)))}makeInbox(e){
return new ge(this.env,e,{message:t=>this.handler.message(t),garbled:(t,n)=>{n?this.compress=!1:this.encoding="json",this.handler.garbled(t)}})}welcomed(e){this.
outage.over(),this.policy.welcomed(this.env.now()),this.heartbeatMs=e>0?e:Jn,this.setStatus("connected"),this.tryLater()}arrived(){this.unfinished=0,this.liveness.
arrived()}ponged(){this.liveness.answered(this.env.now())}get line(){return{...this.handler.line(),buffered:this.bufferedBytes}}watch(e=Math.min(this.heartbeatMs,
Tt)){this.cancelWatch?.();let t=this.env.now(),n=Math.min(e,Math.max(0,this.liveness.dueAt-t)||e);this.lookDueAt=t+n,this.cancelWatch=this.env.after(n,()=>this.
look())}look(){let e=this.env.now(),{line:t}=this,n=this.liveness.quietMs(e),s=e-this.lookDueAt>Tt;if(this.lookedTwice=s&&n>Tt&&!this.lookedTwice,this.lookedTwice)
return this.watch(fr);if(this.liveness.dead(e,t))return t.joining&&this.connected&&(this.handler.problem(mr),this.unfinished=0),this.drop();(n>=2*this.heartbeatMs||
t.unanswered>0&&n>=pr)&&!this.liveness.asked&&this.probe(),this.watch()}probe(e){if(!this.connected)return;let t=this.env.now(),{asked:n}=this.liveness;this.liveness.
ask(t,this.line,e),n||this.send(JSON.stringify({type:"ping",ts:Math.round(t)})),this.watch()}send(e){if(!this.connected||!this.socket)return!1;try{return this.socket.
send(this.written(e)),!0}catch{return!1}}offline(){this.probe(2e3)}drop(){let{socket:e}=this;e&&(this.opened||this.transports.failed(this.env.now()),this.detach(),
this.hangUp(e,gr,"reconnecting"),this.closed(1006,""))}hangUp(e,t,n){e.terminate&&(e.onclose=this.env.after(yr,()=>e.terminate?.())),e.close(t,n)}cut(e){this.policy.
stayAway(e,this.env.now()),this.socket?this.drop():!this.ended&&!this.stopped&&this.closed(1006,"")}goaway(e){let t=Z(e);this.policy.stayAway(t,this.env.now()),
this.cancelGoaway?.(),this.cancelGoaway=this.env.after(t,()=>this.drop())}stayAway(e){this.connected||this.policy.stayAway(Z(e),this.env.now())}wakened(){if(this.
connected)return this.probe(5e3);this.cancelRetry&&this.retryIn(this.policy.wakened(this.env.now()))}closed(e,t){let n=this.connected&&this.handler.line().joining&&
++this.unfinished===br;this.socket&&!this.opened&&this.transports.failed(this.env.now()),this.detach(),this.outage.lost(e,t),this.handler.lost(e),n&&this.handler.
problem({code:"unreachable",message:`the connection ends again and again before the canvas is here (closed with ${e}): does a proxy end connections after a whil\
e? It is tried again`});let s=this.policy.closed(e,t,this.env.now(),this.env.random());if(s.type==="stop")return this.stop(s);this.setStatus(this.status==="conn\
ecting"?"connecting":"reconnecting"),s.problem&&(this.outage.over(),this.handler.problem(s.problem)),s.newIdentity?this.handler.newIdentity().then(()=>this.retryIn(
s.ms)):this.retryIn(s.ms)}retryIn(e){this.cancelRetry?.(),!(this.ended||this.stopped)&&(this.cancelRetry=this.env.after(Math.max(e,this.policy.away(this.env.now())),
()=>this.connect()))}stop(e){this.cancelRetry=void 0,this.outage.over(),this.stopped=e,e.final&&this.handler.ended(e),this.setStatus("disconnected"),this.handler.
problem(e)}detach(){this.generation++,this.socket=void 0,this.opened=!1,this.cancelTrial?.(),this.cancelTrial=void 0,this.inbox?.end(),this.inbox=void 0,this.cancelOpening?.(),
this.cancelWatch?.(),this.cancelGoaway?.()}restart(){this.ended||this.stopped?.final||(this.stopped=void 0,this.drop(),this.status==="disconnected"&&this.setStatus(
"reconnecting"),this.retryIn(this.policy.wakened(this.env.now())))}close(){if(this.ended)return;this.send('{"type":"bye"}'),this.ended=!0;let{socket:e}=this;this.
detach(),this.outage.over(),this.cancelRetry?.(),e&&this.hangUp(e,1e3,"bye"),this.handler.lost(1e3),this.setStatus("disconnected")}setStatus(e){e!==this.status&&
(this.status=e,this.handler.status(e))}};var vr={type:"told"},Bn=r=>r.type==="emit"&&r.event==="objects",Pe=class{constructor(e){this.carryOut=e}carryOut;waiting=[];running=!1;done=0;told=0;run(e,t){for(let n of e)
this.waiting.push(n);if(this.running)return t&&this.tellObjects(),!1;this.running=!0;try{for(;this.done<this.waiting.length;)this.carryOut(this.waiting[this.done++])}finally{
this.waiting.splice(0,this.done),this.done=this.told=0,this.running=!1}return!0}tellObjects(){for(this.told=Math.max(this.told,this.done);this.told<this.waiting.
length;){let e=this.waiting[this.told];Bn(e)&&(this.waiting[this.told]=vr),this.told++,Bn(e)&&this.carryOut(e)}}};var Nn=300,wr=3e3,Or=6e4,kr=33,Er=1e3,Sr=16*1024,xr=50,jr=["type","client","hidden"],Ce=class{tracks=new Map;receive(e,t,n,s=0){let{x:i,y:o,client:a,hidden:d,...c}=t,
h=this.tracks.get(e),u=n-(typeof s=="number"&&s>0?s:0);if(h&&u<h.at)return!1;if(d===!0)return this.remove(e);if(typeof i!="number"||typeof o!="number")return!1;
let p=h?u-h.at:1/0;if(!h||p>Nn){let rt=h?.intervalMs??xr;return this.tracks.set(e,{fromX:i,fromY:o,x:i,y:o,at:u,intervalMs:rt,fields:c}),!0}let[m,E]=Dn(h,n),B=Math.
min(Nn,h.intervalMs*.75+p*.25);return this.tracks.set(e,{fromX:m,fromY:E,x:i,y:o,at:u,intervalMs:B,fields:c}),!0}remove(e){return this.tracks.delete(e)}at(e,t){
let n=this.tracks.get(e);if(!n||t-n.at>=Or)return;let[s,i]=Dn(n,t);return{client:e,x:s,y:i,fields:n.fields,dim:t-n.at>=wr}}sample(e){let t=[];for(let n of this.
tracks.keys()){let s=this.at(n,e);s&&t.push(s)}return t}};function Dn(r,e){let t=Math.min(1,Math.max(0,(e-r.at)/r.intervalMs));return[r.fromX+(r.x-r.fromX)*t,r.
fromY+(r.y-r.fromY)*t]}var Le=class{constructor(e=kr){this.intervalMs=e}intervalMs;wanted;sent;sentAt=-1/0;lastPoint;set(e,t){let n=R(e,"a point",t),s=jr.find(a=>Object.
hasOwn(n,a));if(s)throw new TypeError(`a cursor's field may not be named "${s}": the protocol uses it`);let{x:i,y:o}=n;if(typeof i!="number"||typeof o!="number")
throw new TypeError("x and y must be finite numbers");if(!S(JSON.stringify(n),ct+2))throw new RangeError(`a cursor's fields have at most ${ct} bytes`);this.lastPoint=
{x:i,y:o},this.wanted=JSON.stringify({...n,type:"cursor"})}clear(){this.lastPoint&&(this.wanted=JSON.stringify({...this.lastPoint,hidden:!0,type:"cursor"})),this.
lastPoint=void 0}reconnected(){this.sent=void 0,this.sentAt=-1/0}tick(e,t){if(this.wanted===void 0||this.wanted===this.sent||!t.connected)return{};let n=t.alone?
Math.max(Er,this.intervalMs):this.intervalMs,s=this.sentAt+n-e;return s>0?{againInMs:s}:t.bufferedBytes>Sr?{againInMs:this.intervalMs}:(this.sent=this.wanted,this.
sentAt=e,{send:this.wanted})}};function qn(r){return l(r)&&typeof r.client=="string"}var Ar=50,Hn=r=>JSON.stringify({type:"presence",state:r}),Mr=Hn({}).length-2,Wn=r=>Math.min(r.max_state_bytes,r.max_message_bytes-Mr);function $n(r,e){let t=[],
n=[];for(let[s,i]of r){let o=[...n,[s,i]];if(S(JSON.stringify(Object.fromEntries(o)),e)){n=o;continue}n.length>0&&t.push(Object.fromEntries(n)),n=S(JSON.stringify(
{[s]:i}),e)?[[s,i]]:[]}return n.length>0?[...t,Object.fromEntries(n)]:t}var Ue=class{state={};patches=[];sentAt=-1/0;update(e,t=q){let n=P(this.state,e),s=Wn(t);
if(!S(JSON.stringify(n),s))throw new RangeError(`a presence state has at most ${s} bytes after the merge`);this.state=n;let i=this.patches.pop(),o=i&&z(i,e);this.
patches.push(...o?[o]:i?[i,e]:[e])}reconnected(e){let t=X(e,this.state);this.patches=Object.keys(t).length>0?[t]:[],this.sentAt=-1/0}tick(e,t,n=q){if(this.patches.
length===0||!t)return{};let s=this.sentAt+Ar-e;if(s>0)return{againInMs:s};let i=this.pieces(Wn(n)).map(Hn);return this.patches=[],this.sentAt=e,{send:i}}pieces(e){
if(this.patches.every(s=>S(JSON.stringify(s),e)))return this.patches;let t=[...new Set(this.patches.flatMap(s=>Object.keys(s)))],n=t.filter(s=>Object.hasOwn(this.
state,s)).map(s=>[s,this.state[s]]);return[...$n(t.map(s=>[s,null]),e),...$n(n,e)]}};var Je=class{constructor(e,t){this.self=e;this.shell=t;let{cursorSender:n,presenceSender:s}=this;this.cursor={set:i=>{n.set(i,t.limits().max_json_depth),t.moved()},
clear:()=>{n.clear(),t.moved()}},this.presence={get state(){return s.state},update:i=>this.update(G(s.state,R(i,"a patch",this.levels)))}}self;shell;cursor;presence;cursorSender=new Le;presenceSender=new Ue;get levels(){
return this.shell.limits().max_json_depth-1}update(e){Object.keys(e).length!==0&&(this.presenceSender.update(e,this.shell.limits()),this.shell.due())}signal(e,t){
let n=JSON.stringify({type:"signal",event:ce(e),data:I(t,this.levels)}),{max_message_bytes:s}=this.shell.limits();if(!S(n,s))throw new RangeError(`a signal has \
at most ${s} bytes as a message`);return n}setUser(e){let{wanted:t,patch:n}=this.self.changed(e);this.update({user:n}),this.self.take(t)}welcomed(e,t){this.cursorSender.
intervalMs=Math.max(33,e.cursor_interval_ms??0),this.cursorSender.reconnected(),l(this.presence.state.user)&&this.presenceSender.update({user:this.self.silence}),
this.presenceSender.reconnected(t)}tick(e,t){let n=this.cursorSender.tick(e,t),s=this.presenceSender.tick(e,t.connected,this.shell.limits());return{send:[...n.send===
void 0?[]:[n.send],...s.send??[]],againInMs:Math.min(n.againInMs??1/0,s.againInMs??1/0)}}};var Be=class{constructor(e){this.actions=e}actions;all=new WeakMap;unacked=new Set;list;of(e){let t=this.all.get(e);return t||(t=new H(e,this.actions),this.all.
set(e,t)),t}get outbox(){return this.list??=[...this.unacked]}add(e){let t=this.of(e);return this.unacked.add(t),this.list=void 0,t}remove(e){let t=this.of(e);this.
unacked.delete(t)&&(this.list=void 0)}touch(){this.list=void 0}end(e,t){for(let n of this.unacked)n.end(e,t);this.list=void 0}clear(){this.unacked.clear(),this.
list=void 0}};var _r=200,Tr=2e4,Ir=900,Rr="Edit",It=r=>r.state==="pending"||r.state==="sent",Rt=({actions:r})=>r.every(({op:e})=>e.state==="failed"),Ne=class{constructor(e,t){
this.doc=e;this.now=t}doc;now;onChange=()=>{};undos=[];redos=[];open;made=0;get canUndo(){return!!this.open?.actions.length||this.undos.some(e=>!Rt(e))}get canRedo(){
return this.redos.some(e=>!Rt(e))}begin(e=Rr,t){this.end(),this.open={label:e,actions:[],mergeKey:t,at:this.now()}}get grouping(){return this.open!==void 0}end(){
let e=this.open;if(this.open=void 0,!e||e.actions.length===0)return;let t=this.undos.at(-1);if(t&&e.mergeKey&&t.mergeKey===e.mergeKey&&e.at-t.at<Ir){for(let s of e.
actions)Pt(t,s);t.at=e.at}else this.undos.push(e);let n=this.undos.reduce((s,i)=>s+i.actions.length,0);for(;this.undos.length>_r||n>Tr&&this.undos.length>1;)n-=
this.undos.shift()?.actions.length??0;this.redos=[],this.onChange()}clear(){this.undos=[],this.redos=[],this.open&&(this.open={...this.open,actions:[]}),this.onChange()}record(e,t,n){
let s=this.actionOf(e,t,n);if(s){if(this.open)return Pt(this.open,s);this.begin(),Pt(this.open,s),this.end()}}actionOf(e,t,n){let s=this.made++;if(e.type==="obj\
ect-create")return{type:"create",id:e.object.id,op:n,order:s,object:e.object,replaced:t};if(e.type==="object-delete")return t&&{type:"delete",id:e.id,op:n,order:s,
object:t};if(!(e.type!=="object-update"||!t))return{type:"update",id:e.id,op:n,order:s,change:kt(t,J(t,e))}}undo(){return this.end(),this.step(this.undos,this.redos)}redo(){
return this.end(),this.step(this.redos,this.undos)}actions(){return(this.open?[...this.undos,...this.redos,this.open]:[...this.undos,...this.redos]).flatMap(t=>t.
actions).sort((t,n)=>t.order-n.order)}remote(e,t){let n=this.actions().filter(s=>s.id===e);if(n.length!==0)for(let[s,i]of Et(t))for(let o of n){if(It(o.op)){if(o.
type==="delete")o.object=O(o.object,s,i);else if(o.type==="create")o.replaced&&=O(o.replaced,s,i);else if(o.type==="update"&&On(o.change,s))o.change=St(o.change,
s,i);else continue;break}o.type==="update"&&(o.change=kn(o.change,s))}}rebase(e){let t=new Set;for(let n of this.actions()){let{id:s,op:i,first:o=i}=n;if(!It(i)||
t.has(s))continue;let a=e(s);if(n.type==="update")for(let d of Q(n.change)){let c=JSON.stringify([s,...d]);a&&It(o)&&!t.has(c)&&(n.change=St(n.change,d,b(a,d))),
t.add(c)}else{let d=[...t].some(c=>c.startsWith(`[${JSON.stringify(s)},`));n.type==="delete"&&a&&!d&&(n.object=a),t.add(s)}}}step(e,t){let n=e.pop();for(;n&&Rt(
n);)n=e.pop();let s={label:n?.label??"",actions:[],mergeKey:void 0,at:0};for(let o of[...n?.actions??[]].reverse()){let a=this.invert(o);a&&s.actions.push(a)}let i=s.
actions.length>0;return i&&t.push(s),this.onChange(),n&&{label:n.label,done:i}}invert(e){let{id:t}=e,n=this.doc.get(t);if(e.op.state==="failed")return;let s=Pr(
e,n);return s&&this.actionOf(s,n,this.doc.perform(s))}};function Pr(r,e){let{id:t}=r;switch(r.type){case"create":return e?r.replaced?A(e,r.object)?{type:"object\
-create",object:r.replaced}:void 0:{type:"object-delete",id:t}:void 0;case"delete":return e?void 0:{type:"object-create",object:r.object};case"update":{let n=e&&
Cr(r.change,e);return n&&{type:"object-update",id:t,patch:n}}}}function Cr(r,e){let t={};for(let n of Q(r))A(b(e,n)??null,b(r.after,n)??null)&&(t=O(t,n,b(r.before,
n)??null,!0));return Object.keys(t).length>0?t:void 0}function Fn(r,e){for(let t=r.length-1;t>=0;t--)if(r[t]?.id===e)return r[t]}function Pt(r,e){let{actions:t}=r;
if(e.type==="update"){let n=Fn(t,e.id);if(n?.type==="create"&&!n.replaced)return;let s=n?.type==="update"?En(n.change,e.change):void 0;if(n?.type==="update"&&s){
n.change=s,n.first??=n.op,n.op=e.op;return}}if(e.type==="delete"){let n=Fn(t,e.id);if(n?.type==="create"&&!n.replaced)return void t.splice(t.indexOf(n),1)}t.push(
e)}var De=class{constructor(e){this.shell=e;this.history=new Ne({get:e.get,perform:e.perform},e.now),this.history.onChange=()=>e.changed({canUndo:this.canUndo,canRedo:this.
canRedo})}shell;history;unrecorded=!1;get canUndo(){return this.history.canUndo}get canRedo(){return this.history.canRedo}undo(){return this.shell.mayWrite()?this.
together(()=>this.history.undo()):void 0}redo(){return this.shell.mayWrite()?this.together(()=>this.history.redo()):void 0}begin(e={}){let{label:t,mergeKey:n}=Kn(
e);this.history.begin(t,n)}end(){this.history.end()}clear(){this.history.clear()}batch(e,t){if(typeof e!="function")throw new TypeError("batch needs a function");
let{undo:n,label:s,mergeKey:i}=Kn(t),o=this.unrecorded,a=n!==!1&&!o&&!this.history.grouping;this.unrecorded||=n===!1,a&&this.history.begin(s,i);try{return this.
together(e)}finally{this.unrecorded=o,a&&this.history.end()}}together(e){let t=this.shell.batch();try{return e()}finally{t&&this.shell.batched()}}recorded(e,t){
let n=g(e);if(n===void 0||this.unrecorded)return t(()=>{});let s=this.shell.get(n);return t(i=>this.history.record(e,s,i))}remote(e,t){this.history.remote(e,t)}rebase(e){
this.history.rebase(e)}};function Kn(r){if(!l(r))throw new TypeError("options must be an object: { label?, mergeKey? }");_(r,["label","mergeKey","undo"],"a step");
for(let e of["label","mergeKey"]){let t=r[e];if(t!==void 0&&typeof t!="string")throw new TypeError(`${e} must be a string`)}return r}var zn=3e5,qe=class{constructor(e,t,n){this.now=e;this.send=t;this.after=n}now;send;after;waiting=new Map;ping(){return new Promise((e,t)=>{let n=this.now(),s=Math.
floor(n)+.5;for(;this.waiting.has(s);)s+=.0625;if(!this.send(JSON.stringify({type:"ping",ts:s})))return t(new f("closed","there is no connection"));let i=this.after(
zn,()=>this.answered(s,new f("unreachable",`no answer within ${zn/1e3} s`))),o=a=>(i(),a?t(a):e(this.now()-n));this.waiting.set(s,{answer:o})})}ponged(e){this.answered(
e??-1)}answered(e,t){let n=this.waiting.get(e);this.waiting.delete(e),n?.answer(t)}lost(){for(let e of[...this.waiting.keys()])this.answered(e,new f("closed","t\
he connection was lost"))}};function ee(r,e){switch(e.type){case"object-create":return e.object;case"object-update":return r&&jt(r,e);case"object-delete":return}}var Ct={client:"",own:!1,cause:"\
snapshot"},We=(r,e)=>({client:r.client,own:!0,cause:e}),$e=r=>r.body,He=class{objects=new Map;overlays=new Map;changes=[];reset=!1;moved={all:!1,ids:new Set,made:new Set};list;get(e){
let t=this.overlays.get(e);return t?t.value:this.objects.get(e)}confirmed(e){return this.objects.get(e)}*values(){for(let[e,t]of this.objects){let n=this.overlays.
get(e);n?n.value&&!n.created&&(yield n.value):yield t}for(let e of this.overlays.values())e.created&&e.value&&(yield e.value)}all(){return this.list??=[...this.
values()]}get size(){let e=this.objects.size;for(let[t,n]of this.overlays)e+=(n.value?1:0)-(this.objects.has(t)?1:0);return e}push(e,t="call"){let n=g(e.body);if(n===
void 0)return;let s=this.get(n),i=this.overlays.get(n)??{ops:[],value:s,created:!1};i.ops.push(e),i.value=ee(s,$e(e)),!s&&i.value&&(i.created=!0,this.overlays.delete(
n)),this.overlays.set(n,i),this.note(n,s,i.value,We(e,t))}below(e){let t=g(e.body)??"",n=this.objects.get(t);for(let s of this.overlays.get(t)?.ops??[]){if(s===
e)break;n=ee(n,$e(s))}return n}remerged(e){let t=g(e.body);t!==void 0&&this.refresh(t,We(e,"call"))}drop(e,t){let n=g(e.body);n===void 0||!this.take(n,e)||this.
refresh(n,We(e,t))}take(e,t){let n=this.overlays.get(e),s=n?n.ops.indexOf(t):-1;return!n||s<0?!1:(n.ops.splice(s,1),!0)}confirm(e){let t=g(e.body);if(t===void 0)
return;let n=this.overlays.get(t),s=n?.ops[0]===e;if(this.store(t,ee(this.objects.get(t),$e(e))),this.take(t,e),this.noteAbsence(t),n&&s&&n.ops.length===0){this.
overlays.delete(t),n.value&&this.objects.set(t,n.value);return}this.refresh(t,We(e,"remote"))}remote(e,t){let n=g(e);if(n===void 0)return;let s=this.get(n),i=this.
objects.get(n);this.noteAbsence(n),this.store(n,ee(i,e)),this.noteAbsence(n);let o={client:t,own:!1,cause:"remote",...i&&e.type==="object-update"&&{patch:J(i,e)}};
this.overlays.has(n)?this.refresh(n,o):this.note(n,s,this.objects.get(n),o)}resuming(){for(let e of this.overlays.keys())this.noteAbsence(e)}noteAbsence(e){let t=this.
objects.has(e);for(let n of this.overlays.get(e)?.ops??[])n.body.type==="object-create"?t=!0:!t&&n.attempted&&(n.mayBeIgnored=!0),n.body.type==="object-delete"&&
(t=!1)}store(e,t){this.list=void 0,this.moved.ids.add(e),t&&!this.objects.has(e)&&this.noteMade(e),t?this.objects.set(e,t):this.objects.delete(e)}refresh(e,t){let n=this.
overlays.get(e);if(!n)return;let s=n.value,i=this.objects.get(e);n.created=!1;for(let o of n.ops){let a=ee(i,$e(o));n.created||=!i&&a!==void 0,i=a}n.ops.length===
0?this.overlays.delete(e):s&&i&&Ft(s,i)&&(i=s),n.value=i,this.note(e,s,i,t)}replace(e){this.moved={all:!0,ids:new Set,made:new Set},this.renew(new Map([...e].map(
t=>[t.id,t])))}catchUp(e,t){let n=new Map(this.objects);for(let s of t)n.delete(s),this.moved.ids.add(s);for(let s of e)this.moved.ids.add(s.id),n.has(s.id)||this.
noteMade(s.id),n.set(s.id,s);this.renew(n)}renew(e){let t=this.objects;this.objects=e,this.reset=!0,this.list=void 0;for(let[n,s]of e){let i=t.get(n);i&&i!==s&&
A(i,s)&&e.set(n,i)}for(let[n,s]of e)!this.overlays.has(n)&&s!==t.get(n)&&this.note(n,t.get(n),s,Ct);for(let[n,s]of t)!this.overlays.has(n)&&!e.has(n)&&this.note(
n,s,void 0,Ct);for(let n of[...this.overlays.keys()])this.refresh(n,Ct)}noteMade(e){this.moved.made.delete(e),this.moved.made.add(e)}takeMoved(){let{moved:e}=this;
return this.moved={all:!1,ids:new Set,made:new Set},e}confirmedObjects(){return this.objects.values()}note(e,t,n,s){if(this.list=void 0,t===n&&!s.patch)return;let i=t===
n?"update":n===void 0?"delete":t===void 0?"create":"update";this.changes.push({id:e,type:i,...s})}takeChanges(){let{changes:e,reset:t}=this;if(e.length===0&&!t)
return;let n={ids:[...new Set(e.map(s=>s.id))],changes:e,reset:t};return this.changes=[],this.reset=!1,n}};var Lt=(r,e,t)=>`${r}/${e??`#${t}`}`,Fe=class{constructor(e,t){this.handleOf=e;this.own=t}handleOf;own;confirmed=[];pending=new Map;list=[];dirty=!1;get messages(){
return this.list??=[...this.confirmed,...[...this.pending].map(([e,{at:t,key:n}])=>this.shown(e,0,t,n))]}shown(e,t,n,s){let i=e.body,o=this.handleOf(e);return{key:s,
seq:t,client:e.client,user:this.own().user,at:n,text:i.text,...i.reply_to!==void 0&&{replyTo:i.reply_to},own:!0,state:o.state,op:o}}received(e,t){return{key:Lt(
e.client,e.op,e.seq),seq:e.seq,client:e.client,...e.user&&{user:e.user},at:e.at,text:e.text,...typeof e.reply_to=="number"&&{replyTo:e.reply_to},own:t(e.client),
state:"acked"}}push(e,t){this.pending.set(e,this.pending.get(e)??{at:t,key:Lt(e.client,e.op,0)}),this.changed()}renamed(){this.pending.size>0&&this.changed()}touch(e){
this.pending.has(e)&&this.changed()}drop(e){this.pending.delete(e)&&this.changed()}confirm(e,t,n){let s=this.pending.get(e)?.key??Lt(e.client,e.op,t);this.pending.
delete(e),this.append(this.shown(e,t,n,s))}remote(e){this.append(this.received(e,t=>t===this.own().client))}append(e){this.confirmed.push(e),this.confirmed.length>
1e3&&this.confirmed.shift(),this.changed()}replace(e){let t=new Map(this.confirmed.map(s=>[s.seq,s])),n=s=>s===this.own().client;this.confirmed=e.slice(-1e3).map(
s=>{let i=t.get(s.seq),o=this.received(s,n);return i&&i.client===o.client&&i.text===o.text?i:o}),this.changed()}latest(){return this.confirmed.slice(-200).map(({
key:e,seq:t,client:n,at:s,text:i,replyTo:o,user:a})=>{let d=Number(e.slice(e.lastIndexOf("/")+1)),c=o!==void 0&&{reply_to:o};return{seq:t,client:n,at:s,text:i,...Number.
isFinite(d)&&{op:d},...c,...a&&{user:a}}})}changed(){this.list=void 0,this.dirty=!0}takeDirty(){let{dirty:e}=this;return this.dirty=!1,e}};var Ke=(r,e)=>`${r}/${e}`;function Lr(r,e){return r.type!=="object-update"||e.type!=="object-update"||x(e)?!1:Object.keys(e.patch).every(t=>Object.hasOwn(r.patch,
t))}var ze=class{entries=new Map;failed=new Map;get size(){return this.entries.size}values(){return this.entries.values()}get(e,t){return this.entries.get(Ke(e,
t))}has({client:e,op:t}){return this.entries.has(Ke(e,t))}put(e){if(this.entries.set(Ke(e.client,e.op),e),e.body.type!=="object-update"||e.state!=="failed")return;
let{id:t}=e.body;this.failed.set(t,(this.failed.get(t)??new Set).add(e))}take(e){this.entries.delete(Ke(e.client,e.op));let t=g(e.body)??"",n=this.failed.get(t);
n?.delete(e)&&n.size===0&&this.failed.delete(t)}rewrittenBy(e){let t=e.type==="object-update"?this.failed.get(e.id):void 0;return t?[...t].filter(n=>Lr(e,n.body)):
[]}outlivedBy(e){let t=this.failed.get(g(e.body)??"");return t?[...t].filter(n=>n.key<e.key):[]}};var Xe=class{ops=new Map;chars=0;window=32768;landedAt=0;shrunkAt=-1/0;soonest=1/0;soonestAt=-1/0;get size(){return this.ops.size}get bytes(){return this.chars}get full(){
return this.ops.size>=1e3||this.ops.size>0&&this.chars>=this.window}get since(){for(let{sentAt:e}of this.ops.values())return Math.max(e,this.landedAt)}has(e){return this.
ops.has(e)}launch(e,t,n){this.chars+=t,this.ops.set(e,{chars:t,sentAt:n,limited:this.chars>=this.window/2})}land(e,t){let n=this.ops.get(e);if(!n)return;this.ops.
delete(e),this.chars-=n.chars,this.landedAt=t;let s=t-n.sentAt;(s<=this.soonest||t-this.soonestAt>3e4)&&([this.soonest,this.soonestAt]=[s,t]);let i=s-this.soonest;
i<=Math.max(50,this.soonest)?n.limited&&(this.window=Math.min(1048576,this.window+n.chars)):i>Math.max(200,2*this.soonest)&&n.sentAt>=this.shrunkAt&&(this.window=
Math.max(8192,this.window*.7),this.shrunkAt=t)}clear(){this.ops.clear(),this.chars=0,this.window=32768,this.soonest=1/0,this.soonestAt=this.shrunkAt=-1/0}};var Xn=33,Ut=250,Gn=5e3,te=r=>r.type==="object-update"&&x(r),Vn=["overloaded","rate-limited","not-ready"],Yn=1e3;function Jt(r){let e=[];for(let t of r){if(!t.attempted)
break;t.committed&&e.push(t)}return e}var Ge=class{perMs=0;burst=1;tokens=1;refilledAt=0;start(e,t){this.perMs=e*.9/1e3,this.burst=Math.max(1,Math.floor(e/2)),this.tokens=this.burst,this.refilledAt=
t}take(e){return this.perMs<=0?0:(this.tokens=Math.min(this.burst,this.tokens+Math.max(0,e-this.refilledAt)*this.perMs),this.refilledAt=e,this.tokens<1?Math.ceil(
(1-this.tokens)/this.perMs):(this.tokens-=1,0))}};var Ve=class{constructor(e,t=1){this.client=e;this.nextOp=t}client;nextOp;queue=new Map;aside=new ze;latest=new Map;flight=new Xe;connected=!1;orphans=[];blockedAt;retryAt=0;pacer=new Ge;updatesNotBefore=0;roundEnd=0;urgent=0;wake;limits={
maxMessageBytes:256*1024,opsPerS:0};nextKey=1;grouping=!1;group;edited=!1;get next(){return this.nextOp}entries(){return[...this.aside.values(),...this.queue.values()].
sort((e,t)=>e.key-t.key)}get size(){return this.aside.size+this.queue.size}get wakeAt(){return this.connected?this.wake:void 0}get unansweredBytes(){return this.
flight.bytes}get waitingSince(){return this.flight.since}restore(e){for(let t of[...e].sort((n,s)=>n.op-s.op)){this.nextKey=Math.max(this.nextKey,t.key+1),t.attempted=
!0;let n=t.client!==this.client;n||(this.nextOp=Math.max(this.nextOp,t.op+1)),n||t.state==="failed"?this.aside.put(t):this.enqueue(t),n&&t.state!=="failed"&&this.
orphans.push(t)}}add(e){let t=this.mergeInto(e),n=t??this.made(e,this.nextOp++);t||(this.grouping&&(n.group=this.group??=n.key),this.enqueue(n));let s=this.supersede(
this.aside.rewrittenBy(n.body));return{entry:n,merged:t!==void 0,effects:[{type:"changed",entry:n},...s]}}begin(){this.grouping=!0,this.group=void 0}end(){this.
grouping=!1,this.group=void 0}unspeakable(){return!this.connected||this.limits.set||!this.edited?[]:[...this.queue.values()].filter(e=>!e.attempted&&te(e.body))}latestOf(e){
return this.latest.get(e)}supersede(e){return e.map(t=>(this.remove(t),{type:"superseded",entry:t}))}made(e,t=0){let n={attempted:!1,committed:!1,mayBeContained:!1,
refusals:0};return{key:this.nextKey++,client:this.client,op:t,body:e,state:"pending",...n}}mergeInto(e){if(e.type!=="object-update")return;let t=this.latest.get(
e.id);if(!t||t.attempted||t.body.type!=="object-update"||t.group!==this.group||this.grouping&&this.group===void 0)return;if(te(t.body)||te(e)){let s=jn(t.body,e);
return s&&(t.body={...t.body,...s}),s&&t}let n=z(t.body.patch,e.patch);if(n)return t.body={...t.body,patch:n},t}enqueue(e){this.queue.set(e.op,e),this.edited||=
te(e.body);let t=g(e.body);t!==void 0&&this.latest.set(t,e),!e.attempted&&e.body.type!=="object-update"&&this.urgent++}dequeue(e){this.queue.get(e.op)===e&&this.
queue.delete(e.op)&&!e.attempted&&e.body.type!=="object-update"&&this.urgent--;let t=g(e.body);t!==void 0&&this.latest.get(t)===e&&this.latest.delete(t)}welcome(e,t,n){
this.lost(),this.connected=!0,this.limits=t,this.pacer.start(t.opsPerS,n),this.nextOp=Math.max(this.nextOp,e+1);let s=!1;for(let i of this.queue.values()){if(i.
op>e)break;i.attempted?i.committed=!0:s=!0}return s?this.renumber([...this.queue.values()].filter(i=>!i.attempted)):[]}renumber(e){for(let t of e)this.dequeue(t),
this.aside.take(t);return e.map(t=>(t.client=this.client,t.op=this.nextOp++,t.attempted=t.committed=t.mayBeContained=t.mayBeIgnored=!1,t.state="pending",t.group=
void 0,this.enqueue(t),{type:"changed",entry:t}))}lost(){this.connected=!1,this.flight.clear(),this.blockedAt=void 0}flush(e){this.wake=void 0;let t=[];if(!this.
connected||this.orphans.length>0||this.waitsAfterRefusal(e)||this.flight.full)return t;for(let n of this.queue.values()){if(this.flight.has(n.op)||n.committed)continue;
if(this.flight.full)break;let s=n.body.type==="object-update"&&!n.attempted&&n.op>this.roundEnd;if(s&&this.urgent===0&&e<this.updatesNotBefore){this.wake=this.updatesNotBefore;
break}let i=this.pacer.take(e);if(i>0){this.wake=e+i;break}s&&(this.roundEnd=this.nextOp-1,this.updatesNotBefore=e+Xn),this.launchGroup(n,e,t)||this.launch(n,e,
t)}return t}launchGroup(e,t,n){let{group:s}=e;if(s===void 0||e.key!==s||!this.limits.batch)return!1;let i=[...this.queue.values()].filter(d=>d.group===s);if(i.length<
2||i.length>Yn||i[0]!==e||i.some(d=>d.committed||this.flight.has(d.op)))return!1;let o=i.map(At),a=`{"type":"batch","ops":[${o.join(",")}]}`;if(o.includes(void 0)||
!S(a,this.limits.maxMessageBytes))return!1;for(let[d,c]of i.entries())this.launched(c,o[d],t,n,d===0?a:void 0);return!0}waitsAfterRefusal(e){return this.blockedAt===
void 0?!1:this.flight.size>0?!0:e<this.retryAt?(this.wake=this.retryAt,!0):(this.blockedAt=void 0,!1)}launch(e,t,n){let s=At(e);if(s===void 0){n.push(...this.fail(
e,"bad-message","it has a value that JSON cannot hold"));return}if(!S(s,this.limits.maxMessageBytes)){n.push(...this.fail(e,"too-large",`over ${this.limits.maxMessageBytes}\
 bytes`));return}this.launched(e,s,t,n,s)}launched(e,t,n,s,i){!e.attempted&&e.body.type!=="object-update"&&this.urgent--,this.flight.launch(e.op,t.length,n);let o=e.
state!=="sent";e.attempted=!0,e.state="sent",i!==void 0&&s.push({type:"send",entry:e,text:i}),o&&s.push({type:"changed",entry:e})}find(e){return this.queue.get(
e)??this.aside.get(this.client,e)}ack(e,t,n){this.flight.land(e,n);let s=this.find(e);return s?this.settle(s,t):[]}met(e,t,n){let s=e===this.client?this.find(t):
this.aside.get(e,t);return s?this.settle(s,{seq:n,status:"ok"}):[]}settle(e,t){return this.remove(e),e.state="acked",e.error=void 0,[{type:"settled",entry:e,result:t},
...this.supersede(this.aside.outlivedBy(e))]}remove(e){this.dequeue(e),this.aside.take(e),this.orphans=this.orphans.filter(t=>t!==e)}refused(e,t,n,s){this.flight.
land(e,n);let i=this.queue.get(e);if(!i)return[];if(!Vn.includes(t.code))return this.fail(i,t.code,t.message);if(i.state="pending",this.blockedAt!==void 0&&e>this.
blockedAt)return[{type:"changed",entry:i}];i.refusals++,this.blockedAt=e;let a=s*Math.min(Gn,Ut*2**(i.refusals-1));return this.retryAt=n+(t.retryAfterMs===void 0?
Ut:Z(t.retryAfterMs))+a,[{type:"changed",entry:i}]}fail(e,t,n){return this.remove(e),e.state="failed",e.committed=!1,e.error={code:t,message:n},this.aside.put(e),
[{type:"failed",entry:e},...this.unblockFrom(e)]}unblockFrom(e){return this.blockedAt!==e.op||e.client!==this.client?[]:(this.blockedAt=void 0,this.connected?[{
type:"unblock"}]:[])}retry(e){return e.state!=="failed"||!this.aside.has(e)?[]:(e.refusals=0,e.error=void 0,this.renumber([e]))}discard(e){return!(this.find(e.op)===
e||this.aside.has(e))||e.committed||e.state!=="pending"&&e.state!=="failed"?[]:(this.remove(e),[{type:"discarded",entry:e},...this.unblockFrom(e)])}jumped(){for(let e of this.
queue.values()){if(!e.attempted)break;e.mayBeContained=!0}}caughtUp(e){let t=new Set;return[...Jt(this.queue.values()).flatMap(s=>{if(s.mayBeContained)return this.
settle(s,{seq:0,status:"dup"});let i="id"in s.body?s.body:void 0;return i?.type==="log-compact"?this.settle(s,{seq:0,status:"ignored"}):i&&(s.mayBeIgnored||t.has(
i.id)||!e(i.id))?this.settle(s,{seq:0,status:"ignored"}):(s.body.type==="object-create"&&t.add(s.body.object.id),this.fail(s,"refused","the server refused it fo\
r good; its reason was lost with the connection"))}),...this.requeueOrphans(()=>!1)]}snapshotTaken(e){let t=i=>this.settle(i,{seq:0,status:"dup"}),n=[...Jt(this.
queue.values()),...this.orphans.filter(e)].flatMap(t),s=i=>i.body.type==="object-create"||i.body.type==="chat";return[...n,...this.requeueOrphans(i=>!s(i))]}requeueOrphans(e){
if(this.orphans.length===0)return[];let t=this.orphans.filter(e).flatMap(i=>this.fail(i,"unknown-outcome","it may have been committed before the client id chang\
ed")),n=[...this.queue.values()],s=this.orphans;return this.orphans=[],[...t,...this.renumber([...s,...n])]}changeClient(e){this.lost(),this.roundEnd=0;let t=[...this.
queue.values()],n=t.filter(s=>s.attempted);for(let s of n)this.dequeue(s),this.aside.put(s);return this.orphans.push(...n),this.client=e,this.nextOp=1,this.renumber(
t.filter(s=>!s.attempted))}};var Qn={};function Ur(r,e){if(!l(e.user))return r;let{name:t,color:n}=e.user,s=a=>typeof a=="string"&&[...a].length<=D,i=Array.isArray(r.vouched)?r.vouched:[],o={
...s(t)&&!i.includes("name")&&{name:t},...s(n)&&!i.includes("color")&&{color:n}};return{...r,...o}}var Ye=class{seats=new Map;list=[];dirty=!1;get others(){return this.
list??=[...this.seats.values()].map(e=>e.other)}get size(){return this.seats.size}get(e){return this.seats.get(e)?.other}replace(e,t){let n=new Set(e.map(i=>i.client)),
s=[...this.seats.keys()].filter(i=>!n.has(i)||i===t);for(let i of s)this.leave(i);for(let i of e)i.client!==t&&this.join(i);return s}join(e){this.put(e.client,e.
user??{},e.state??Qn,e.away??!1)}update(e,t,n){let s=this.seats.get(e);this.put(e,s?.joinedAs??{},t??s?.other.state??Qn,n??s?.other.away??!1)}leave(e){this.seats.
delete(e)&&this.changed()}put(e,t,n,s){let i=this.seats.get(e),o={client:e,user:Ur(t,n),state:n,away:s};i&&JSON.stringify(i.other)===JSON.stringify(o)||(this.seats.
set(e,{joinedAs:t,other:o}),this.changed())}changed(){this.list=void 0,this.dirty=!0}takeDirty(){let{dirty:e}=this;return this.dirty=!1,e}};var Qe=class{roster=new Ye;cursors=new Ce;moved=new Set;signals=[];welcome(e,t,n){for(let s of this.roster.replace(e,t))this.left(s);for(let{client:s,cursor:i,cursor_age_ms:o}of e)
i&&s!==t&&this.cursors.receive(s,i,n,o)&&this.moved.add(s)}hear(e,t,n){if(e.type==="cursor-batch"){for(let s of e.cursors)!qn(s)||s.client===t||this.cursors.receive(
s.client,s,n)&&this.moved.add(s.client);return}if(!(!("client"in e)||e.client===t)){if(e.type==="presence")this.roster.update(e.client,e.state,e.away);else if(e.
type==="user-connected")this.roster.join(e);else if(e.type==="user-disconnected")this.left(e.client);else if(e.type==="signal"){let{client:s,event:i,data:o}=e;this.
signals.push({type:"emit",event:"signal",value:{client:s,event:i,data:o??null}})}}}left(e){this.roster.leave(e),this.cursors.remove(e)&&this.moved.add(e)}take(){
let e=this.signals;return this.signals=[],this.roster.takeDirty()&&e.push({type:"emit",event:"others",value:this.roster.others}),this.moved.size>0&&e.push({type:"\
emit",event:"cursors",value:[...this.moved]}),this.moved.clear(),e}};var Bt=["name","color"];function Jr(r){try{let e=(r?.split(".")[1]??"").replaceAll("-","+").replaceAll("_","/"),t=Uint8Array.from(atob(e),s=>s.charCodeAt(0)),n=JSON.
parse(new TextDecoder().decode(t));return l(n)?n:{}}catch{return{}}}var Ze=class{constructor(e){this.wanted=e;this.user=this.said=e}wanted;user;vouched={};said;claims={};joining(e){
return this.claims=Jr(e),this.said=this.wanted}welcomed(e){let t=this.user;this.vouched={};for(let n of Bt){let s=l(e)?e[n]:void 0;if(typeof s!="string")continue;
let i=this.claims[n];(typeof i=="string"&&[...i].slice(0,D).join("")===s||s!==this.said[n])&&(this.vouched={...this.vouched,[n]:s})}return this.user={...this.wanted,
...this.vouched},Bt.some(n=>this.user[n]!==t[n])}changed(e){let t={...this.wanted,...e};return{wanted:t,patch:{...t,...this.silence}}}take(e){this.wanted=e,this.
user={...e,...this.vouched}}get silence(){return Object.fromEntries(Bt.filter(e=>this.vouched[e]!==void 0).map(e=>[e,null]))}};function Zn(r,e,t,n){return{position:()=>n.position,take:()=>r.takeMoved(),get:s=>r.confirmed(s),objects:()=>r.confirmedObjects(),chat:()=>t.latest(),logs:()=>e.
any}}function Br(r,e,{epoch:t,seq:n}){return e.epoch===t&&r.epoch===t&&e.seq<=r.seq&&r.seq<=n}var et=class{position;parts;held=[];target=1/0;gapAt;get seq(){return this.
position?.seq??0}get caughtUp(){return this.parts===void 0&&this.seq>=this.target}lost(){this.parts=void 0,this.held=[],this.target=1/0}welcome(e,t,n){return this.
lost(),this.target=t,n!=="resume"?(this.parts=[],!0):this.position?.epoch===e}resync(){this.parts=[],this.held=[]}place(e,t){return this.parts?this.held.length>=
2e4?"gap":(this.held.push(t),"held"):!this.position||e>this.position.seq+1?"gap":e<=this.position.seq?"repeat":(this.position={epoch:this.position.epoch,seq:e},
"next")}part(e){let t=e.part===0?[]:this.parts,n=t?.[0]??e;if(!t||t.length!==e.part||n.seq!==e.seq||n.epoch!==e.epoch)return"gap";if(t.push(e),this.parts=t,!e.last)
return;let{held:s,position:i}=this,{base:o}=n;return this.parts=void 0,this.held=[],o&&!(i&&Br(i,o,e))?(this.position=void 0,"gap"):(this.position={epoch:e.epoch,
seq:e.seq},{deleted:o&&t.flatMap(d=>d.deleted??[]),held:s,objects:t.flatMap(d=>d.objects),chat:t.flatMap(d=>d.chat),logs:t.flatMap(d=>d.logs??[]),compacted:t.flatMap(
d=>d.compacted??[])})}gap(){let{position:e,gapAt:t}=this;e&&t&&t.epoch===e.epoch&&t.seq===e.seq&&(this.position=void 0),this.gapAt=e}};var es={welcome:{instance:"string",epoch:"string",seq:"number",mode:"string",acked_op:"number",users:"object",limits:"object"},snapshot:{epoch:"string",seq:"num\
ber",part:"number",last:"boolean",objects:"object",chat:"object"},"object-create":{seq:"number",client:"string",object:"object"},"object-update":{seq:"number",client:"\
string",id:"string"},"object-delete":{seq:"number",client:"string",id:"string"},chat:{seq:"number",client:"string",text:"string"},broadcast:{seq:"number",client:"\
string",event:"string"},"log-append":{seq:"number",client:"string",id:"string"},"log-compact":{seq:"number",client:"string",id:"string",upto:"number"},ack:{op:"\
number",seq:"number",status:"string"},"cursor-batch":{cursors:"object"},presence:{client:"string"},signal:{client:"string",event:"string"},"user-connected":{client:"\
string"},"user-disconnected":{client:"string"},resync:{},goaway:{},error:{code:"string"},pong:{}};function ts(r){if(!l(r)||typeof r.type!="string")throw new TypeError(
"a message has a type");let e=Object.hasOwn(es,r.type)?es[r.type]:void 0;if(e){for(let[t,n]of Object.entries(e)){let s=r[t];if(typeof s!==n||s===null)throw new TypeError(
`${r.type}.${t} must be a ${n}`)}return r.type==="snapshot"&&Dr(r),r.type==="object-update"?Nr(r):r}}function Nr(r){let{patch:e,unset:t,set:n,append:s}=r;for(let[
i,o]of Object.entries({patch:e,set:n,append:s}))if(o!==void 0&&!l(o))throw new TypeError(`object-update.${i} must be an object`);if(t!==void 0&&!(Array.isArray(
t)&&t.every(i=>typeof i=="string")))throw new TypeError("object-update.unset must be a list of paths");if(e===void 0&&!x(r))throw new TypeError("object-update.p\
atch must be an object");return{...r,patch:e??{}}}function Dr({base:r,deleted:e,logs:t,compacted:n}){if(r!==void 0&&!(l(r)&&typeof r.epoch=="string"&&typeof r.seq==
"number"))throw new TypeError("snapshot.base must have an epoch and a seq");for(let[s,i]of Object.entries({deleted:e,logs:t,compacted:n}))if(i!==void 0&&!Array.
isArray(i))throw new TypeError(`snapshot.${s} must be a list`)}var tt=class{constructor(e){this.options=e;this.self=new Ze(e.user),this.random=e.random,this.date=e.date,this.outbox=new Ve(e.client,e.nextOp),this.chat=new Fe(
e.handleOf,()=>({client:this.outbox.client,user:this.self.user}))}options;canvas=new He;logs=new Me;people=new Qe;chat;outbox;self;role="write";instance="";limits=q;sync="\
synchronizing";stream=new et;random;date;lingering=new Map;bySnapshot=!1;broken=!1;outboxDirty=!1;told;batching=!1;effects=[];get client(){return this.outbox.client}get seq(){
return this.stream.seq}get ground(){return Zn(this.canvas,this.logs,this.chat,this.stream)}get epoch(){return this.stream.position?.epoch??""}hello(e,t=[]){let n=this.
self.joining(e),s=this.stream.position,i=["set","batch","log",...s?["base"]:[]];return JSON.stringify({type:"hello",v:1,client:this.client,user:n,token:e,since:s,
features:i,...t.length>0&&{compress:t}})}restore(e,t){this.outbox.restore(e),t&&(t.logs===!1&&(this.stream.position={epoch:t.epoch,seq:t.seq}),this.canvas.replace(
t.objects),this.chat.replace(t.chat),this.outbox.jumped());for(let n of e)(n.state!=="failed"||n.body.type==="chat")&&this.show(n);return this.outboxDirty=!0,this.
drain()}perform(e,t){let{entry:n,merged:s,effects:i}=this.outbox.add(e);return s?this.canvas.remerged(n):this.show(n),this.follow(i),this.batching?{entry:n,effects:[]}:
(this.flush(t),{entry:n,effects:this.drain()})}batch(){return this.batching?!1:(this.outbox.begin(),this.batching=!0)}batched(e){return this.batching=!1,this.outbox.
end(),this.flush(e),this.drain()}show(e){e.body.type==="chat"?this.chat.push(e,this.date()):this.canvas.push(e)}retry(e,t){let n=this.outbox.retry(e);return n.length>
0&&this.show(e),this.follow(n),this.flush(t),this.drain()}giveUp(){for(let e of this.outbox.entries())e.body.type==="chat"?this.chat.touch(e):this.canvas.drop(e,
"rollback");return this.outboxDirty=!0,this.drain()}discard(e){return this.follow(this.outbox.discard(e)),this.drain()}changeClient(e){return this.follow(this.outbox.
changeClient(e)),this.drain()}lost(){return this.broken=!1,this.stream.lost(),this.outbox.lost(),this.drain()}tick(e){return this.flush(e),this.drain()}flush(e){
for(let t of this.outbox.unspeakable()){if(t.body.type!=="object-update")continue;let{type:n,id:s}=t.body;t.body={type:n,id:s,patch:J(this.canvas.below(t)??{},t.
body)},this.canvas.remerged(t),this.follow([{type:"changed",entry:t}])}this.follow(this.outbox.flush(e))}frame(e,t){try{let n=ts(e);n&&this.handle(n,t)}catch(n){
return this.garbled(n)}return this.flush(t),this.drain()}garbled(e){return this.effects.push({type:"error",code:"bad-frame",message:String(e)}),this.reconnect(),
this.drain()}handle(e,t){if(!this.broken)switch(e.type){case"welcome":return this.welcome(e,t);case"snapshot":return this.snapshotPart(e,t);case"ack":return e.status===
"ok"?this.ordered(e,t):this.answered(e,t);case"object-create":case"object-update":case"object-delete":case"chat":case"broadcast":case"log-append":case"log-compa\
ct":return this.ordered(e,t);case"resync":return this.stream.resync();case"error":return this.refused(e,t);case"goaway":this.effects.push({type:"goaway",retryAfterMs:e.
retry_after_ms??0});return;case"pong":this.effects.push({type:"pong",ts:e.ts});return;default:this.people.hear(e,this.client,t)}}welcome(e,t){if(!this.stream.welcome(
e.epoch,e.seq,e.mode))return this.gap(`the server resumes epoch ${e.epoch}, which is not held here`);this.bySnapshot=e.mode!=="resume",this.canvas.resuming(),this.
instance=e.instance,this.role=e.role,this.limits={...q,...e.limits},this.self.welcomed(e.user)&&this.chat.renamed(),this.people.welcome(e.users,this.client,t);let{
max_message_bytes:n,ops_per_s:s}=this.limits;this.effects.push({type:"welcomed",welcome:e});let[i,o]=["set","batch"].map(a=>e.features?.includes(a)??!1);this.follow(
this.outbox.welcome(e.acked_op,{maxMessageBytes:n,opsPerS:s,set:i,batch:o},t)),this.arrived()}snapshotPart(e,t){let n=this.stream.part(e);if(n==="gap")return this.
gap(`snapshot part ${e.part} is out of place, or its base is not held here`);if(n){this.bySnapshot=!0,this.outbox.jumped(),n.deleted?this.canvas.catchUp(n.objects,
n.deleted):this.canvas.replace(n.objects),this.logs.snapshot(n.logs,n.deleted&&[...n.deleted,...n.compacted]),this.chat.replace(n.chat),this.arrived();for(let s of n.
held)this.handle(s,t)}}ordered(e,t){let n=this.stream.place(e.seq,e);if(n==="gap")return this.gap(`seq ${e.seq} came after ${this.seq}`);if(n==="held")return;let s=this.
takeOwn(e,t);if(n==="repeat")s&&this.contained(s);else if(s)this.confirmed(s,e);else if(e.type!=="ack")this.remote(e);else return this.stream.position=void 0,this.
gap(`op ${e.op} was acked but is not known here`);this.arrived()}takeOwn(e,t){let n=e.type==="ack"?this.client:e.client;if(e.op===void 0)return;let s=`${n}/${e.
op}`,i=this.lingering.get(s);if(i)return this.lingering.delete(s),i.entry;let o=e.type==="ack"?this.outbox.ack(e.op,{seq:e.seq,status:"ok"},t):this.outbox.met(n,
e.op,e.seq),[a,...d]=o;return this.follow(d),a?.type==="settled"?this.settled(a.entry,a.result):void 0}settled(e,t){return this.outboxDirty=!0,this.effects.push(
{type:"forget",entry:e},{type:"settle",entry:e,result:t}),e}confirmed(e,t){let{seq:n}=t,s=t.type==="ack"?this.date():t.at;if(e.body.type==="chat")this.chat.confirm(
e,n,s);else if(e.body.type==="broadcast"){let{event:i,data:o}=e.body;this.effects.push({type:"emit",event:"broadcast",value:{event:i,data:o,client:e.client,own:!0,
seq:n,at:s}})}else this.canvas.confirm(e);this.logs.heard(e.body,n,e.client,!0)}remote(e){let{client:t,seq:n,at:s}=e,i=t===this.client;if(e.type==="chat")this.chat.
remote(e);else if(e.type==="broadcast"){let{event:o,data:a}=e;this.effects.push({type:"emit",event:"broadcast",value:{event:o,data:a,client:t,own:i,seq:n,at:s}})}else{
let o=e.type==="object-update"&&!i&&this.canvas.confirmed(e.id);o&&e.type==="object-update"&&this.options.remote?.(e.id,J(o,e)),this.canvas.remote(e,t),this.logs.
heard(e,n,t,i)}}contained(e,t="remote"){e.body.type==="chat"?this.chat.drop(e):this.canvas.drop(e,t)}answered(e,t){this.follow(this.outbox.ack(e.op,{seq:e.seq,status:e.
status},t))}refused(e,t){let{op:n,code:s,message:i}=e;if(n===void 0&&e.retry_after_ms&&this.effects.push({type:"away",ms:e.retry_after_ms}),n===void 0||!this.outbox.
find(n)){this.effects.push({type:"error",code:s,message:i});return}this.follow(this.outbox.refused(n,{code:s,message:i,retryAfterMs:e.retry_after_ms},t,this.random()))}gap(e){
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
jects",value:t});for(let s of this.logs.take())e.push({type:"emit",event:"log",value:s});this.chat.takeDirty()&&e.push({type:"chat"}),e.push(...this.people.take()),
this.stream.position!==this.told&&e.push({type:"moved"}),this.told=this.stream.position,this.outboxDirty&&e.push({type:"outbox"}),this.outboxDirty=!1;let n=this.
stream.caughtUp?"synchronized":"synchronizing";return n!==this.sync&&e.push({type:"emit",event:"sync",value:n}),this.sync=n,e}};function ns(r,e){let t=new Promise((n,s)=>{let i=[],o=()=>{let a=r.status==="disconnected";if(!a&&r.sync!=="synchronized")return;for(let c of i)c();let d=e();a?
s(new f("closed",`the room is disconnected${d===void 0?"":`: ${d}`}`)):n()};i.push(r.on("sync",o),r.on("status",o)),o()});return t.catch(()=>{}),t}var nt=class{constructor(e,t,n){this.env=e;this.source=t;this.tell=n}env;source;tell;newer;cancelAsking=()=>{};last;get any(){return this.source!==void 0}get renewable(){
return typeof this.source=="function"}refreshed(e){typeof this.source!="function"&&(this.source=e),this.last=e}async beside(e){let{source:t}=this;if(e||this.last===
void 0){let n=typeof t=="function"?await t():t;this.last=typeof n=="string"?n:void 0}return this.last}next(e){this.newer=e}used(){this.newer=void 0}stop(){this.
cancelAsking()}async get(){this.cancelAsking();let{source:e}=this,t=this.newer??(typeof e=="function"?await this.ask(e):e);if(t!=null){if(typeof t!="string")throw new TypeError(
`the function must return a string, or a promise of one, not ${Array.isArray(t)?"array":typeof t}`);return this.last=t}}ask(e){return new Promise((t,n)=>{let s=0,
i=1e4,o=()=>{},a={code:"unauthorized",message:"no token yet: the function that gets it does not answer. It is asked again"},d=this.env.after(4e3,()=>this.tell(a));
this.cancelAsking=()=>(o(),d());let c=()=>this.cancelAsking(),h=()=>{s++,o=this.env.after(i,h),i=Math.min(6e4,i*2),Promise.resolve().then(e).then(u=>(c(),t(u)),
u=>{--s>0||(c(),n(u))})};h()})}};var ss=3e5,st=class{constructor(e,t,n,s){this.env=e;this.store=n;this.canvas=t.canvas,this.storageTold=n.durable?"indexeddb":"memory",this.emitter=new Ee(i=>e.nextFrame(
i)),this.pings=new qe(()=>e.now(),i=>this.connection.send(i),(i,o)=>e.after(i,o)),this.tokens=new nt(e,t.token,i=>this.tell(i)),this.handles=this.makeHandles(),
this.history=this.steps=new De({get:i=>this.session.canvas.get(i),now:()=>e.now(),perform:i=>this.take(i),mayWrite:()=>this.role==="write"&&!this.closed&&!this.
connection.stopped?.final,batch:()=>this.session.batch(),batched:()=>this.run(this.session.batched(e.now()),!0),changed:i=>this.emitter.emit("history",i)}),this.
session=new tt({client:s.client,user:t.user,nextOp:s.nextOp,handleOf:i=>this.handles.of(i),random:()=>e.random(),date:()=>e.date(),remote:(i,o)=>this.steps.remote(
i,o)}),this.connection=new Re(e,t.socketUrl,this.connectionHandler(),{canRenewToken:this.tokens.renewable,canChangeIdentity:t.ownIdentity,hasToken:()=>this.tokens.
any},t),this.objects=Mn(this.session.canvas,i=>this.perform(i),i=>this.unchanged(i),e.makeId,()=>this.levels),this.chat=_n(this.session.chat,i=>this.perform(i)),
this.cursors={sample:(i=e.now())=>this.session.people.cursors.sample(i),at:(i,o=e.now())=>this.session.people.cursors.at(i,o)},this.ephemeral=new Je(this.session.
self,{limits:()=>this.limits,moved:()=>this.sampleCursor(),due:()=>this.tick()}),this.cursor=this.ephemeral.cursor,this.presence=this.ephemeral.presence,this.assets=
new ve(e,{socketUrl:t.socketUrl,hasToken:()=>this.tokens.any,token:i=>this.tokens.beside(i),limits:()=>this.limits,changed:i=>this.emitter.emit("assets",i),problem:i=>this.
tell(i)},t.uploads??dt),this.unwatch=e.watch({wakened:()=>(this.connection.wakened(),this.assets.wakened()),offline:()=>this.connection.offline(),left:()=>n.leave(),
cameBack:()=>n.comeBack()});for(let i of[...s.entries].sort((o,a)=>o.key-a.key))this.handles.add(i);this.run(this.session.restore(s.entries,s.kept)),n.follow?.(
this.session.ground),this.connection.connect()}env;store;canvas;objects;chat;cursors;cursor;presence;history;assets;steps;session;connection;emitter;handles;ephemeral;pings;queue=new Pe(
e=>this.carryOut(e));tokens;cancelTick;tickAt=1/0;framed=!1;storageTold;unwatch;closed=!1;get client(){return this.session.client}get user(){return this.session.
self.user}get role(){return this.session.role}get instance(){return this.session.instance}get transport(){return this.connection.transport}get epoch(){return this.
session.epoch}get seq(){return this.session.seq}get limits(){return this.session.limits}get status(){return this.connection.status}get sync(){return this.session.
sync}get others(){return this.session.people.roster.others}get outbox(){return this.handles.outbox}get levels(){return this.limits.max_json_depth-1}on(e,t,n){return this.
emitter.on(e,t,n)}perform(e){return this.steps.recorded(e,t=>this.take(e,t))}batch(e,t={}){return this.steps.batch(e,t)}get canUndo(){return this.history.canUndo}get canRedo(){
return this.history.canRedo}undo(){return this.history.undo()}redo(){return this.history.redo()}unchanged(e){if(this.closed)throw new f("closed","the room is cl\
osed");let{outbox:t}=this.session,n=t.latestOf(g(e)??"");if(n)return this.handles.of(n);let s=this.handles.of({...t.made(e),state:"acked"});return s.settle({seq:0,
status:"unchanged"}),s}take(e,t=()=>{}){if(this.closed)throw new f("closed","the room is closed");let{stopped:n}=this.connection;if(n?.final){let a=this.handles.
of(this.session.outbox.made(e));return a.end(n.code,n.message),a}let{entry:s,effects:i}=this.session.perform(e,this.env.now()),o=this.handles.add(s);return t(o),
this.run(i,!0),o}makeHandles(){return new Be({retry:e=>this.run(this.session.retry(e,this.env.now())),discard:e=>{let t=this.closed?[]:this.session.discard(e);return t.
length===0?!1:(this.handles.of(e).end("discarded","the op was discarded"),this.handles.remove(e),this.run(t),!0)}})}giveUp(e,t){this.handles.end(e,t),this.closed&&
this.handles.clear(),this.run(this.session.giveUp())}log(e){return Un(e,this.session,t=>this.perform(t),t=>this.on("log",t))}broadcast(e,t=null){return this.perform(
{type:"broadcast",event:ce(e),data:I(t,this.levels)})}signal(e,t=null){return this.connection.send(this.ephemeral.signal(e,t))}sampleCursor(){this.framed||(this.
framed=!0,this.env.nextFrame(()=>{this.framed=!1,this.tick()}))}setUser(e){this.ephemeral.setUser(he(e))}refreshToken(e){let t=JSON.stringify({type:"refresh",token:le(
e)});this.tokens.refreshed(e),!this.connection.send(t)&&(this.tokens.next(e),this.connection.restart())}ping(){return this.pings.ping()}cut(e=0){this.connection.
cut(e)}connectionHandler(){return{token:()=>this.tokens.get(),hello:(e,t)=>this.session.hello(e,t),line:()=>({joining:this.sync!=="synchronized",unanswered:this.
session.outbox.unansweredBytes}),message:e=>this.run(this.session.frame(e,this.env.now())),garbled:e=>this.run(this.session.garbled(e)),lost:e=>{e===4401&&this.
tokens.used(),this.run(this.session.lost()),this.pings.lost()},status:e=>this.emitter.emit("status",e),newIdentity:async()=>{this.run(this.session.changeClient(
this.env.makeId())),await this.store.changeClient(this.session.client,this.session.outbox.entries())},problem:e=>this.tell(e),ended:({code:e,message:t})=>{e==="\
refused"&&this.store.refused?.(),this.giveUp(e,t)}}}tell({code:e,message:t}){this.emitter.emit("error",new f(e,t))}get storage(){return this.store.durable?"inde\
xeddb":"memory"}storageChanged(){this.storage!==this.storageTold&&(this.storageTold=this.storage,this.guard(),this.emitter.emit("storage",this.storage))}guard(){
this.env.guard(!this.store.durable&&this.session.outbox.size>0&&!this.closed)}storageFailed(e){this.tell({code:"storage",message:e})}whenSynced(){return ns(this,
()=>this.connection.stopped?.message)}close(){this.closed||(this.closed=!0,this.giveUp("closed","the room was closed before the op was acked"),this.connection.close(),
this.assets.close(),this.tokens.stop(),this.cancelTick?.(),this.unwatch(),this.env.guard(!1),this.store.close())}run(e,t=!1){this.queue.run(e,t)&&this.schedule()}carryOut(e){
switch(e.type){case"send":this.connection.send(e.text);break;case"reconnect":this.connection.drop();break;case"welcomed":this.tokens.used(),this.ephemeral.welcomed(
e.welcome.limits,e.welcome.users.find(({client:t})=>t===this.client)?.state??{}),this.connection.welcomed(e.welcome.heartbeat_ms),this.assets.wakened(),this.tick();
break;case"goaway":this.connection.goaway(e.retryAfterMs);break;case"away":this.connection.stayAway(e.ms);break;case"pong":this.connection.ponged(),this.pings.ponged(
e.ts);break;case"save":this.closed||this.handles.add(e.entry),this.store.save(e.entry),this.store.numbered(this.session.outbox.next);break;case"forget":this.handles.
remove(e.entry),this.store.forget(e.entry);break;case"supersede":this.handles.of(e.entry).end("superseded","a newer op of the object stands in its place");break;case"\
settle":this.handles.of(e.entry).settle(e.result);break;case"reject":this.handles.of(e.entry).fail(e.code,e.message);break;case"error":this.emitter.emit("error",
new f(e.code,e.message,e.entry&&this.handles.of(e.entry)));break;case"outbox":this.handles.touch(),this.guard(),this.emitter.tell("outbox",()=>this.outbox);break;case"\
moved":this.store.moved?.();break;case"chat":this.emitter.tell("chat",()=>this.chat.messages);break;case"emit":e.event==="sync"&&e.value==="synchronized"&&(this.
connection.arrived(),this.steps.rebase(t=>this.session.canvas.confirmed(t))),this.emitter.emit(e.event,e.value)}}tick(){let e=this.env.now();this.run(this.session.
tick(e));let{connected:t,bufferedBytes:n}=this.connection,s=this.session.people.roster.size===0,{send:i,againInMs:o}=this.ephemeral.tick(e,{connected:t,alone:s,
bufferedBytes:n});for(let d of i)this.connection.send(d);this.schedule(e+o);let{waitingSince:a}=this.session.outbox;t&&a!==void 0&&e-a>=ss&&this.connection.drop()}schedule(e=1/0){
let{wakeAt:t,waitingSince:n}=this.session.outbox,s=Math.min(e,t??1/0,n===void 0?1/0:n+ss);this.closed||s>=this.tickAt||(this.cancelTick?.(),this.tickAt=s,this.cancelTick=
this.env.after(Math.max(0,s-this.env.now()),()=>{this.tickAt=1/0,this.tick()}))}};var C=new Map,qr=0,rs=new WeakMap;function is(r){if(!r)return 0;let e=rs.get(r)??++qr;return rs.set(r,e),e}async function os(r,e,t){let n=C.get(r)??{opening:e(),
users:0};C.set(r,n),n.users++;let s=o=>{--n.users>0||(C.get(r)===n&&C.delete(r),o.close())},i;try{i=await Nt(n.opening,t)}catch(o){throw setTimeout(()=>{n.opening.
then(s,()=>C.get(r)===n&&C.delete(r))}),o}return i.on("status",o=>o==="disconnected"&&C.get(r)===n&&C.delete(r)),Wr(i,()=>s(i))}function Nt(r,e){return e?new Promise(
(t,n)=>{let s=()=>n(e.reason);if(e.aborted)return s();e.addEventListener("abort",s,{once:!0}),r.finally(()=>e.removeEventListener("abort",s)).then(t,n)}):r}function Wr(r,e){
let t=new Set,n=new Set,s=!1,i=(h,u,p)=>{if(s)return()=>{};let m=r.on(h,u,p);h==="status"&&n.add(u);let E=()=>{t.delete(E),n.delete(u),m()};return t.add(E),E},o=()=>{
if(s)return;s=!0;let h=[...n],u=r.status!=="disconnected";for(let p of[...t])p();if(e(),u)for(let p of h)p("disconnected")},a=(h,u)=>{let p=Object.create(h);for(let m of u){
let E=h[m];p[m]=(...B)=>{if(s)throw new f("closed","the room is closed");return E.apply(h,B)}}return p},d={objects:a(r.objects,["create","update","delete"]),chat:a(
r.chat,["send"]),...a({broadcast:r.broadcast.bind(r)},["broadcast"])},c=Object.create(r,{log:{value:h=>a(r.log.call(c,h),["append","compact"])},on:{value:i},close:{
value:o},status:{get:()=>s?"disconnected":r.status},objects:{value:d.objects},chat:{value:d.chat},broadcast:{value:d.broadcast}});return c}var as=/^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/,$r=["url","canvas","user","token","persist","encoding","compress","transport","WebSocket","client","signal","share"];
function Hr(r,e){try{return new URL(r,e)}catch{return}}function Fr(r,e){let t=globalThis.location,n=r??t?.origin;if(n===void 0)throw new TypeError("url is neede\
d where there is no page: like wss://relay.example.org");let s=Hr(n,t?.href);if(!s||!["ws:","wss:","http:","https:"].includes(s.protocol))throw new TypeError(`u\
rl must be like wss://host or https://host, not ${JSON.stringify(String(n))}`);return s.protocol=s.protocol.replace("http","ws"),s.pathname=`${s.pathname.replace(
/\/+$/,"")}/ws/${e}`,s.hash="",s.href}async function yd(r){if(!l(r))throw new TypeError("connect needs options: { canvas, \u2026 }");_(r,$r,"connect");let{canvas:e,
client:t,token:n,signal:s,persist:i="memory"}=r;if(typeof e!="string"||!as.test(e))throw new TypeError(`canvas must match ${as.source}`);if(t!==void 0&&!V(t))throw new TypeError(
"client must be 8 to 64 of A-Z a-z 0-9 _ -");if(i!=="memory"&&i!=="indexeddb")throw new TypeError('persist must be "memory" or "indexeddb"');if(s!==void 0&&!(s instanceof
AbortSignal))throw new TypeError("signal must be an AbortSignal");let{encoding:o,compress:a}=r;if(o!==void 0&&!Object.hasOwn(L,o))throw new TypeError('encoding \
must be "json" or "msgpack"');let{WebSocket:d,transport:c=d===void 0?"auto":"websocket"}=r;if(!["auto","websocket","sse"].includes(c))throw new TypeError('trans\
port must be "auto", "websocket" or "sse"');if(a!==void 0&&typeof a!="boolean")throw new TypeError("compress must be true or false");let h=he(r.user===void 0?{}:
r.user);if(n!==void 0&&typeof n!="function"&&le(n),d!==void 0&&typeof d!="function")throw new TypeError("WebSocket must be a constructor");if(r.share!==void 0&&
typeof r.share!="boolean")throw new TypeError("share must be true or false");let u=Zt(d,c!=="sse"),p=Fr(r.url,e);s?.throwIfAborted();let m={socketUrl:p,canvas:e,
user:h,token:n,ownIdentity:t===void 0,encoding:o,compress:a,transport:c},E=()=>Kr(u,m,t,i),B=typeof document<"u"&&r.share!==!1,rt=[p,t,i,o,a,c,typeof n=="functi\
on"?"function":n,h,is(d)],Dt=B?os(JSON.stringify(rt),E,s):E(),qt=await Nt(Dt,s).catch(ds=>{throw B||Dt.then(cs=>cs.close(),()=>{}),ds});return s?.addEventListener(
"abort",()=>qt.close(),{once:!0}),qt}async function Kr(r,e,t,n){let s=t===void 0?nn(`scumble:${e.socketUrl}`):void 0,i=[],o,a=p=>{o?o.storageFailed(p):i.push(p)},
d=()=>o?.storageChanged(),{store:c,loaded:h}=await zr({room:e.socketUrl,shelf:s,client:t,makeId:r.makeId,problem:a,changed:d},n),u=Wt(e.socketUrl,n==="indexeddb",
r.date);return o=new st(r,{...e,uploads:u},c,h),i.length>0&&r.after(0,()=>i.forEach(p=>o?.storageFailed(p))),o}async function zr(r,e){if(e==="indexeddb"){if(se())
return cn(r);r.problem("there is no IndexedDB here: unsaved changes do not outlive this page")}return Xr(r.client,r.shelf,r.makeId)}function Xr(r,e,t){let n=e?.
take()??{client:r??t(),nextOp:1};return{store:new pe(n,e),loaded:{...n,entries:[]}}}export{f as ScumbleError,yd as connect};
//# sourceMappingURL=client.js.map
