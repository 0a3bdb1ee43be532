/* scumble-client 0.2.0, MIT OR Apache-2.0 */
function y(s,e,t){e==="__proto__"?Object.defineProperty(s,e,{value:t,enumerable:!0,configurable:!0,writable:!0}):s[e]=t}function u(s){return typeof s=="object"&&
s!==null&&!Array.isArray(s)}function d(s,e){if(!u(e))return e;let t=u(s)?{...s}:{};for(let n of Object.keys(e)){let r=e[n];r!==void 0&&(r===null?delete t[n]:y(t,n,u(r)?d(h(t,n),r):r))}return t}
function h(s,e){return Object.hasOwn(s,e)?s[e]:void 0}var v=({unset:s,set:e,append:t})=>s!==void 0||e!==void 0||t!==void 0;function j(s){let e=[],t="";for(let n=0;n<=s.length;n++){let r=s[n];if(r===void 0||r==="."){
if(t==="")throw new RangeError(`${JSON.stringify(s)}: a path has no empty names`);e.push(t),t=""}else if(r==="\\"){let o=s[++n];if(o!=="."&&o!=="\\")throw new RangeError(
`${JSON.stringify(s)}: a backslash stands before a dot or a backslash only`);t+=o}else t+=r}return e}var f=Symbol("clash");function O(s,e,t){let[n,...r]=e;if(n===
void 0)return t(s);if(s!==void 0&&!u(s))return f;let o=s??{},i=O(h(o,n),r,t);if(i===f)return f;let c={...o};return y(c,n,i),c}function g(s,e){let[t,...n]=e,r=h(
s,t);if(r===void 0||n.length>0&&!u(r))return s;if(n.length>0){let o={...s};return y(o,t,g(r,n)),o}return Object.fromEntries(Object.entries(s).filter(([o])=>o!==
t))}function S(s,e){return s===void 0?e:typeof s=="string"&&typeof e=="string"?s+e:Array.isArray(s)&&Array.isArray(e)?[...s,...e]:void 0}function J(s,e){let t=d(
s,e.patch);if(!v(e))return t;let n=t;for(let r of e.unset??[])n=g(n,j(r));for(let[r,o]of Object.entries(e.set??{}))if(n=O(n,j(r),()=>o),n===f)return s;for(let[r,
o]of Object.entries(e.append??{}))if(n=O(n,j(r),i=>S(i,o)??f),n===f)return s;return n}var _={max_message_bytes:256*1024,cursor_interval_ms:33,ops_per_s:0,max_objects:1e4,max_clients:1e3,max_canvas_bytes:64*1024*1024,max_json_depth:16,max_state_bytes:32*
1024},A=new Set(["object-update","object-delete"]),m=class{constructor(e,t){this.relay=e;this.canvas=decodeURIComponent(new URL(t).pathname.split("/").pop()??""),
e.soon(()=>e.taken(this))}relay;onopen=null;onmessage=null;onclose=null;onerror=null;bufferedAmount=0;canvas;client="";open=!0;blocked;send(e){this.relay.soon(()=>this.
open&&this.relay.heard(this,JSON.parse(e)))}close(e=1e3,t=""){this.relay.soon(()=>this.end(e,t))}tell(e){this.relay.soon(()=>this.open&&this.onmessage?.({data:JSON.
stringify(e)}))}end(e,t=""){this.open&&(this.open=!1,this.relay.left(this),this.onclose?.({code:e,reason:t}))}},w=class{WebSocket;latencyMs=0;refuse=()=>{};canvases=new Map;sockets=new Set;up=!0;constructor(){
let e=this;this.WebSocket=class extends m{constructor(t){super(e,t)}}}objects(e){return[...this.at(e).objects.values()]}chat(e){return this.at(e).chat.map(({text:t})=>String(
t))}commit(e,t,n="somebody-else"){this.committed(this.at(e),e,n,{...t,op:(this.at(e).lastOp.get(n)??0)+1})}cut(){for(let e of[...this.sockets])e.end(1006)}offline(){
this.up=!1,this.cut()}online(){this.up=!0}soon(e){this.latencyMs>0?setTimeout(e,this.latencyMs):queueMicrotask(e)}taken(e){if(!this.up)return e.end(1006);this.sockets.
add(e),e.onopen?.()}left(e){!this.sockets.delete(e)||!e.client||(this.at(e.canvas).people.delete(e.client),this.others(e,{type:"user-disconnected",client:e.client,
reason:"left"}))}at(e){let t=this.canvases.get(e)??{seq:0,objects:new Map,chat:[],lastOp:new Map,people:new Map};return this.canvases.set(e,t),t}members(e){return[
...this.sockets].filter(t=>t.client&&t.canvas===e)}others(e,t){for(let n of this.members(e.canvas))n!==e&&n.tell(t)}heard(e,t){let{client:n}=e;if(t.type==="hell\
o")return this.hello(e,t);if(t.type==="bye")return e.end(1e3);if(t.type==="ping")return e.tell({type:"pong",ts:t.ts,server_ts:Date.now()});if(typeof t.op=="numb\
er")return this.op(e,t,t.op);if(t.type==="cursor"){let{type:o,...i}=t;return this.others(e,{type:"cursor-batch",cursors:[{...i,client:n}]})}if(t.type==="signal")
return this.others(e,{...t,client:n});let r=this.at(e.canvas).people.get(n);t.type!=="presence"||!r||(r.state=d(r.state,t.state),this.others(e,{type:"presence",
client:n,state:r.state}))}hello(e,{client:t,user:n={}}){for(let b of this.members(e.canvas))b.client===t&&b.end(4409);e.client=String(t);let{seq:r,objects:o,chat:i,
lastOp:c,people:p}=this.at(e.canvas);p.set(e.client,{user:n,state:{}});let l=[...p].map(([b,k])=>({client:b,...k})),a={epoch:"fake",seq:r};e.tell({type:"welcome",
v:1,instance:"fake",canvas:e.canvas,client:t,user:n,role:"write",...a,mode:"snapshot",acked_op:c.get(e.client)??0,users:l,limits:_,heartbeat_ms:25e3}),e.tell({type:"\
snapshot",...a,part:0,last:!0,objects:[...o.values()],chat:i.slice(-200)}),this.others(e,{type:"user-connected",client:t,user:n,state:{}})}op(e,t,n){let r=this.
at(e.canvas);if(n<=(r.lastOp.get(e.client)??0))return e.tell({type:"ack",op:n,seq:0,status:"dup"});e.blocked?.op===n&&(e.blocked=void 0);let o=e.blocked?.code??
this.refuse(t,e.client);if((o==="overloaded"||o==="rate-limited")&&(e.blocked??={op:n,code:o}),o!==void 0)return e.tell({type:"error",code:o,message:"refused by\
 the test",op:n,retry_after_ms:10});let i=this.committed(r,e.canvas,e.client,t,e);e.tell({type:"ack",op:n,seq:i?r.seq:0,status:i?"ok":"ignored"})}committed(e,t,n,r,o){
e.lastOp.set(n,Number(r.op));let{objects:i}=e,c=String(r.id);if(A.has(r.type)&&!i.has(c))return!1;if(r.type==="object-create"){let a=r.object;i.set(a.id,a)}else
r.type==="object-update"?i.set(c,J(i.get(c),{patch:{},...r})):r.type==="object-delete"&&i.delete(c);let p=r.type==="chat"&&{user:e.people.get(n)?.user??{}},l={...r,
seq:++e.seq,client:n,at:Date.now(),...p};r.type==="chat"&&e.chat.push(l);for(let a of this.members(t))a!==o&&a.tell(l);return!0}};export{w as FakeRelay};
//# sourceMappingURL=testing.js.map
