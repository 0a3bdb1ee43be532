/* scumble-client 0.2.0, MIT OR Apache-2.0 */
function h(r,e,t){e==="__proto__"?Object.defineProperty(r,e,{value:t,enumerable:!0,configurable:!0,writable:!0}):r[e]=t}function p(r){return typeof r=="object"&&
r!==null&&!Array.isArray(r)}function b(r,e){if(!p(e))return e;let t=p(r)?{...r}:{};for(let n of Object.keys(e)){let s=e[n];s!==void 0&&(s===null?delete t[n]:h(t,n,p(s)?b(y(t,n),s):s))}return t}
function y(r,e){return Object.hasOwn(r,e)?r[e]:void 0}var _=({unset:r,set:e,append:t})=>r!==void 0||e!==void 0||t!==void 0;function O(r){let e=[],t="";for(let n=0;n<=r.length;n++){let s=r[n];if(s===void 0||s==="."){
if(t==="")throw new RangeError(`${JSON.stringify(r)}: a path has no empty names`);e.push(t),t=""}else if(s==="\\"){let o=r[++n];if(o!=="."&&o!=="\\")throw new RangeError(
`${JSON.stringify(r)}: a backslash stands before a dot or a backslash only`);t+=o}else t+=s}return e}var l=Symbol("clash");function g(r,e,t){let[n,...s]=e;if(n===
void 0)return t(r);if(r!==void 0&&!p(r))return l;let o=r??{},i=g(y(o,n),s,t);if(i===l)return l;let c={...o};return h(c,n,i),c}function w(r,e){let[t,...n]=e,s=y(
r,t);if(s===void 0||n.length>0&&!p(s))return r;if(n.length>0){let o={...r};return h(o,t,w(s,n)),o}return Object.fromEntries(Object.entries(r).filter(([o])=>o!==
t))}function A(r,e){return r===void 0?e:typeof r=="string"&&typeof e=="string"?r+e:Array.isArray(r)&&Array.isArray(e)?[...r,...e]:void 0}function k(r,e){let t=b(
r,e.patch);if(!_(e))return t;let n=t;for(let s of e.unset??[])n=w(n,O(s));for(let[s,o]of Object.entries(e.set??{}))if(n=g(n,O(s),()=>o),n===l)return r;for(let[s,
o]of Object.entries(e.append??{}))if(n=g(n,O(s),i=>A(i,o)??l),n===l)return r;return n}var E={max_message_bytes:256*1024,cursor_interval_ms:33,ops_per_s:0,max_objects:1e4,max_clients:1e3,max_canvas_bytes:64*1024*1024,max_json_depth:16,max_state_bytes:32*
1024},x=new Set(["object-update","object-delete","log-append","log-compact"]),m=class{constructor(e,t){this.relay=e;this.canvas=decodeURIComponent(new URL(t).pathname.
split("/").pop()??""),e.soon(()=>e.taken(this))}relay;onopen=null;onmessage=null;onclose=null;onerror=null;bufferedAmount=0;canvas;client="";open=!0;blocked;send(e){
this.relay.soon(()=>this.open&&this.relay.heard(this,JSON.parse(e)))}close(e=1e3,t=""){this.relay.soon(()=>this.end(e,t))}tell(e){this.relay.soon(()=>this.open&&
this.onmessage?.({data:JSON.stringify(e)}))}end(e,t=""){this.open&&(this.open=!1,this.relay.left(this),this.onclose?.({code:e,reason:t}))}},M=class{WebSocket;latencyMs=0;refuse=()=>{};canvases=new Map;sockets=new Set;up=!0;constructor(){
let e=this;this.WebSocket=class extends m{constructor(t){super(e,t)}}}objects(e){return[...this.at(e).objects.values()]}chat(e){return this.at(e).chat.map(({text:t})=>String(
t))}commit(e,t,n="somebody-else"){this.committed(this.at(e),e,n,{...t,op:(this.at(e).lastOp.get(n)??0)+1})}cut(){for(let e of[...this.sockets])e.end(1006)}offline(){
this.up=!1,this.cut()}online(){this.up=!0}soon(e){this.latencyMs>0?setTimeout(e,this.latencyMs):queueMicrotask(e)}taken(e){if(!this.up)return e.end(1006);this.sockets.
add(e),e.onopen?.()}left(e){!this.sockets.delete(e)||!e.client||(this.at(e.canvas).people.delete(e.client),this.others(e,{type:"user-disconnected",client:e.client,
reason:"left"}))}at(e){let t=this.canvases.get(e)??{seq:0,objects:new Map,logs:new Map,chat:[],lastOp:new Map,people:new Map};return this.canvases.set(e,t),t}members(e){
return[...this.sockets].filter(t=>t.client&&t.canvas===e)}others(e,t){for(let n of this.members(e.canvas))n!==e&&n.tell(t)}heard(e,t){let{client:n}=e;if(t.type===
"hello")return this.hello(e,t);if(t.type==="bye")return e.end(1e3);if(t.type==="ping")return e.tell({type:"pong",ts:t.ts,server_ts:Date.now()});if(typeof t.op==
"number")return this.op(e,t,t.op);if(t.type==="cursor"){let{type:o,...i}=t;return this.others(e,{type:"cursor-batch",cursors:[{...i,client:n}]})}if(t.type==="si\
gnal")return this.others(e,{...t,client:n});let s=this.at(e.canvas).people.get(n);t.type!=="presence"||!s||(s.state=b(s.state,t.state),this.others(e,{type:"pres\
ence",client:n,state:s.state}))}hello(e,{client:t,user:n={}}){for(let d of this.members(e.canvas))d.client===t&&d.end(4409);e.client=String(t);let{seq:s,objects:o,
logs:i,chat:c,lastOp:u,people:f}=this.at(e.canvas),a=[...i].flatMap(([d,j])=>j.map(S=>({id:d,...S})));f.set(e.client,{user:n,state:{}});let v=[...f].map(([d,j])=>({
client:d,...j})),J={epoch:"fake",seq:s};e.tell({type:"welcome",v:1,instance:"fake",canvas:e.canvas,client:t,user:n,role:"write",...J,mode:"snapshot",acked_op:u.
get(e.client)??0,users:v,limits:E,heartbeat_ms:25e3}),e.tell({type:"snapshot",...J,part:0,last:!0,objects:[...o.values()],logs:a,chat:c.slice(-200)}),this.others(
e,{type:"user-connected",client:t,user:n,state:{}})}op(e,t,n){let s=this.at(e.canvas);if(n<=(s.lastOp.get(e.client)??0))return e.tell({type:"ack",op:n,seq:0,status:"\
dup"});e.blocked?.op===n&&(e.blocked=void 0);let o=e.blocked?.code??this.refuse(t,e.client);if((o==="overloaded"||o==="rate-limited")&&(e.blocked??={op:n,code:o}),
o!==void 0)return e.tell({type:"error",code:o,message:"refused by the test",op:n,retry_after_ms:10});let i=this.committed(s,e.canvas,e.client,t,e);e.tell({type:"\
ack",op:n,seq:i?s.seq:0,status:i?"ok":"ignored"})}logged({seq:e,logs:t},n,{type:s,upto:o,data:i}){let c=t.get(n)??[];if(s==="log-append"&&t.set(n,[...c,{seq:e+1,
data:i}]),s!=="log-compact")return!0;let u=c.filter(a=>a.seq>Number(o)),f=i===void 0?[]:[{seq:Number(o),data:i}];return u.length<c.length&&t.set(n,[...f,...u]),
u.length<c.length}committed(e,t,n,s,o){e.lastOp.set(n,Number(s.op));let{objects:i}=e,c=String(s.id);if(x.has(s.type)&&!i.has(c))return!1;if(s.type==="object-cre\
ate"){let a=s.object;i.set(a.id,a)}else if(s.type==="object-update")i.set(c,k(i.get(c),{patch:{},...s}));else if(s.type==="object-delete")i.delete(c),e.logs.delete(
c);else if(!this.logged(e,c,s))return!1;let u=s.type==="chat"&&{user:e.people.get(n)?.user??{}},f={...s,seq:++e.seq,client:n,at:Date.now(),...u};s.type==="chat"&&
e.chat.push(f);for(let a of this.members(t))a!==o&&a.tell(f);return!0}};export{M as FakeRelay};
//# sourceMappingURL=testing.js.map
