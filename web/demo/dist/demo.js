import{connect as Vr}from"./client.js";function h(n){let e=document.getElementById(n);if(!e)throw new Error(`index.html has no #${n}`);return e}var D=n=>n.isComposing||n.keyCode===229;function f(n,e={},...t){
let o=document.createElement(n);e.class&&(o.className=e.class),e.text!==void 0&&(o.textContent=e.text),e.title&&(o.title=e.title),e.testid&&(o.dataset.testid=e.
testid);for(let[i,r]of Object.entries(e.attrs??{}))o.setAttribute(i,r);e.onclick&&o.addEventListener("click",e.onclick),o instanceof HTMLButtonElement&&(o.type=
"button");for(let i of t)i&&o.append(i);return o}var qt="http://www.w3.org/2000/svg";function H(n){let e=document.createElementNS(qt,"svg");e.setAttribute("clas\
s","icon"),e.setAttribute("aria-hidden","true");let t=document.createElementNS(qt,"use");return t.setAttribute("href",`#i-${n}`),e.append(t),e}var Q={get(n){try{
return localStorage.getItem(`scumble.${n}`)??void 0}catch{return}},set(n,e){try{e===void 0?localStorage.removeItem(`scumble.${n}`):localStorage.setItem(`scumble\
.${n}`,e)}catch{}}};var Ao=3;function Po(n,e){let t=n.outbox.filter(l=>l.state!=="failed"&&l.state!=="acked").length,o=n.outbox.filter(l=>l.state==="failed").length,i=`${t} change${t===
1?"":"s"}`,r=o>0?`. ${o} not saved; see the outbox under the hood`:"",s=e?.code==="unreachable"?`. ${e.message.charAt(0).toUpperCase()}${e.message.slice(1)}`:"";
if(n.status==="disconnected")return Co(t+o,n,e);if(n.status!=="connected"&&e?.code==="full"){let l=t>0?`. ${i} ${ft(n)}`:"",c=`No room: ${e.message}. This page \
goes on trying${l}${r}`;return{state:"full",text:mt("Canvas full, retrying",t),detail:c}}if(n.status==="connecting"&&t+o===0)return{state:"connecting",text:"Con\
necting\u2026",detail:`Looking for the server${s}`};if(n.status!=="connected"){let l=o>0?`${o} not saved; see the outbox under the hood`:"Everything so far is s\
aved",c=t>0?`${i} ${ft(n)}, sent when the connection is back${r}`:l;return{state:"offline",text:mt("Offline",t),detail:c+s}}return o>0?{state:"failed",text:`Not\
 saved \xB7 ${o}`,detail:"The server refused; see the outbox under the hood"}:n.outbox.some(({state:l,refusals:c})=>l==="pending"&&c>=Ao)?{state:"unsaved",text:`\
Not saved yet \xB7 ${t}`,detail:`The server can't store anything just now; ${i} will be sent again until it can`}:t>0?{state:"saving",text:"Saving\u2026",detail:`${i}\
 on the way`}:n.role==="read"?{state:"readonly",text:"View only",detail:"You may look, but not draw"}:{state:"saved",text:"Saved",detail:`The server has everyth\
ing${n.transport==="sse"?". No WebSocket gets through here: it goes over HTTP, a little slower":""}`}}function ft({storage:n}){return n==="indexeddb"?"kept on t\
his device":"kept in this page only: don't close it"}var mt=(n,e)=>e>0?`${n} \xB7 ${e}`:n;function Co(n,e,t){let o=n>0?`. ${n} not saved, ${ft(e)}`:"",i=(r,s)=>({
state:"ended",text:mt(r,n),detail:s+o});return t?.code==="unauthorized"?i("New link needed","The permission of this link has ended or was refused. Ask for a new\
 link"):t?.code==="refused"?i("Refused",`The server refused this link: ${t.message}. Ask for a new link`):i("Offline","The server ended this connection for good\
. Reload the page to try again")}function Zt(n,e,t){let o=h("badge"),i=h("badge-text"),r="",s,a=()=>{let l=Po(n,s);o.dataset.state=l.state,o.title=l.detail,o.setAttribute(
"aria-label",`${l.text}. ${l.detail}`),i.textContent!==l.text&&(i.textContent=l.text),h("badge-detail").textContent=l.detail;let c=["offline","unsaved","failed",
"full","ended","saved"].includes(l.state)?l.state:r;c!==r&&(r!==""||c!=="saved")&&(c==="full"||c==="ended"?t:e)(`${l.text}. ${l.detail}`),r=c};n.on("outbox",a),
n.on("storage",a),n.on("status",l=>{l==="connected"&&(s=void 0),l!=="disconnected"&&a()}),n.on("error",({code:l,message:c})=>{["full","unauthorized","refused","\
replaced","unreachable"].includes(l)&&(s={code:l,message:c},a())}),a()}var ee=()=>new URL(".",import.meta.url),pt=n=>new URL(n,ee()).href;var x=n=>n==="line"||n==="arrow";var u=n=>Math.round(n*10)/10,v=(n,e,t)=>Math.min(t,Math.max(e,n));function gt(n,e){return{x:Math.min(n.x,e.x),y:Math.min(n.y,e.y),w:Math.abs(n.x-e.x),h:Math.abs(
n.y-e.y)}}function k(n){return{x:n.w<0?n.x+n.w:n.x,y:n.h<0?n.y+n.h:n.y,w:Math.abs(n.w),h:Math.abs(n.h)}}function S(n,e){return{x:n.x-e,y:n.y-e,w:n.w+2*e,h:n.h+2*
e}}function te(n,e){let t=Math.min(n.x,e.x),o=Math.min(n.y,e.y);return{x:t,y:o,w:Math.max(n.x+n.w,e.x+e.w)-t,h:Math.max(n.y+n.h,e.y+e.h)-o}}function Yt(n){let e;
for(let t of n)e=e?te(e,t):t;return e}var ne=(n,e)=>n.x<=e.x+e.w&&e.x<=n.x+n.w&&n.y<=e.y+e.h&&e.y<=n.y+n.h,he=(n,e)=>n.x<=e.x&&n.y<=e.y&&n.x+n.w>=e.x+e.w&&n.y+n.
h>=e.y+e.h,ue=(n,e)=>e.x>=n.x&&e.x<=n.x+n.w&&e.y>=n.y&&e.y<=n.y+n.h;function Ce(n,e,t,o,i){let r=o-e,s=i-t,a=r*r+s*s,l=a===0?0:v(((n.x-e)*r+(n.y-t)*s)/a,0,1);return Math.
hypot(n.x-e-l*r,n.y-t-l*s)}function _(n){let e=0,t=0;for(let o=0;o+1<n.length;o+=2)e=Math.max(e,n[o]??0),t=Math.max(t,n[o+1]??0);return{w:e,h:t}}function fe(n,e){
let{from:t,to:o}=e,i=t.w===0?1:o.w/t.w,r=t.h===0?1:o.h/t.h,s=o.x+(n.x-t.x)*i,a=o.y+(n.y-t.y)*r,l=n.w*i,c=n.h*r;x(n.kind)||(l<0&&([s,l]=[s+l,-l]),c<0&&([a,c]=[a+
c,-c]));let d=n.kind==="text"&&r!==1?u(Math.max(6,n.size*Math.abs(r))):n.size;return{...n,x:u(s),y:u(a),w:u(l),h:u(c),size:d}}var Ro=["x","y","w","h","size"];function me(n,e){
return Object.fromEntries(Ro.filter(t=>Math.abs(e[t]-n[t])>.051).map(t=>[t,e[t]]))}function yt(n,e){let t=n.length>>1;if(t<=2)return n.slice();let o=new Uint8Array(
t);o[0]=o[t-1]=1;let i=[[0,t-1]];for(let s=i.pop();s;s=i.pop()){let[a,l]=s,c=0,d=-1;for(let m=a+1;m<l;m++){let p={x:n[2*m],y:n[2*m+1]},M=Ce(p,n[2*a],n[2*a+1],n[2*
l],n[2*l+1]);M>c&&([c,d]=[M,m])}c>e&&(o[d]=1,i.push([a,d],[d,l]))}let r=[];for(let s=0;s<t;s++)o[s]&&r.push(n[2*s],n[2*s+1]);return r}var xt=100,Oo=64,Lo=40,oe=1e6,Io=/[\p{Cc}\p{Zl}\p{Zp}\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/gu,$o=n=>typeof n=="string"&&n.length>0&&n.length<=Oo,I=n=>typeof n==
"object"&&n!==null&&!Array.isArray(n),g=(n,e)=>Object.hasOwn(n,e)?n[e]:void 0;function F(n){if(typeof n!="string")return;let e=[...n.slice(0,400).replace(Io," ").
trim().replace(/\s+/g," ")];return e.length>0?e.slice(0,Lo).join(""):void 0}var ie=(n,e=xt)=>Array.isArray(n)?n.slice(0,e).filter($o):[],Jt=new WeakMap,zo={selection:[],
view:void 0,instance:"",bot:!1};function w(n){let e=n.state;if(!I(e))return zo;let t=Jt.get(e);return t||Jt.set(e,t=Bo(e)),t}function Bo(n){let e=g(n,"instance");
return{selection:ie(g(n,"selection")),view:Ho(g(n,"view")),instance:typeof e=="string"?F(e)??"":"",bot:g(n,"bot")===!0}}function Ho(n){if(!I(n))return;let e=["x",
"y","w","h"].map(s=>g(n,s));if(!e.every(s=>typeof s=="number"&&Number.isFinite(s)))return;let[t,o,i,r]=e;if(i>0&&r>0)return{x:v(t,-oe,oe),y:v(o,-oe,oe),w:v(i,1,
oe),h:v(r,1,oe)}}function X(n){if(/^[0-9a-f]{8}-[0-9a-f]{4}-/i.test(n))return n.slice(0,8);let e=[...n];return e.length>16?`${e.slice(0,8).join("")}\u2026${e.slice(
-6).join("")}`:n}var No=500,Re=3,Wo=240,Do=1e4;function vt(n,e){return I(e)?ie(g(e,"to"),4*Re).includes(n)&&[g(e,"n"),g(e,"t")].every(Number.isFinite):!1}var Oe=class{constructor(e){
this.room=e;e.on("signal",({client:t,event:o,data:i})=>{o==="probe"&&vt(e.client,i)?e.signal("echo",{n:i.n,t:i.t,to:t,i:e.instance}):o==="echo"&&I(i)&&this.echo(
i)})}room;same=[];cross=[];timer;turn=0;onSample=()=>{};start(){this.timer??=setInterval(()=>this.probe(),No),this.probe()}stop(){clearInterval(this.timer),this.
timer=void 0}summaries(){return{same:Qt(this.same),cross:Qt(this.cross)}}probe(){let e=[],t=[];for(let i of this.room.others){let{instance:r}=w(i);r&&!i.away&&(r===
this.room.instance?e:t).push(i.client)}this.turn++;let o=[...this.some(e),...this.some(t)];o.length>0&&this.room.signal("probe",{n:this.turn,t:_o(performance.now()),
to:o})}some(e){return e.length<=Re?e:Array.from({length:Re},(t,o)=>e[(this.turn*Re+o)%e.length])}echo(e){if(e.to!==this.room.client||typeof e.t!="number"||typeof e.
i!="string")return;let t=performance.now()-e.t;if(!(t>=0&&t<Do))return;let o=e.i===this.room.instance?this.same:this.cross;o.push(t/2),o.length>Wo&&o.shift(),this.
onSample()}},_o=n=>Math.round(n*100)/100;function Qt(n){let e=[...n].sort((o,i)=>o-i),t=o=>e[Math.max(0,Math.ceil(o*e.length)-1)]??NaN;return{n:e.length,p50:t(.5),
p95:t(.95),samples:n}}var en=["ink","red","orange","yellow","green","teal","blue","violet"],Go={ink:{line:"#23262f",tint:"#e6e7eb",paper:"#eceae4",onPaper:"#23262f"},red:{line:"#d041\
3c",tint:"#f9dfdc",paper:"#ffd3cd",onPaper:"#5c1512"},orange:{line:"#dd7420",tint:"#fbe6d2",paper:"#ffdcb8",onPaper:"#5a2b05"},yellow:{line:"#c79a0b",tint:"#f8e\
fc8",paper:"#ffefa6",onPaper:"#4a3a03"},green:{line:"#3f8f3c",tint:"#dcefd8",paper:"#d2efc6",onPaper:"#173c15"},teal:{line:"#0d7d70",tint:"#d3ece8",paper:"#c3eb\
e4",onPaper:"#06372f"},blue:{line:"#2f6bd0",tint:"#dae6f8",paper:"#cfe2ff",onPaper:"#112c59"},violet:{line:"#7d4fc4",tint:"#e9dff6",paper:"#e5d7fb",onPaper:"#32\
1a56"}},jo={ink:{line:"#e6e4de",tint:"#35373d",paper:"#3d3f46",onPaper:"#f1efe9"},red:{line:"#f0766e",tint:"#4a2725",paper:"#6d302c",onPaper:"#ffe3df"},orange:{
line:"#f09a4f",tint:"#47301c",paper:"#6d431d",onPaper:"#ffe9d3"},yellow:{line:"#e3bf4d",tint:"#423919",paper:"#65561c",onPaper:"#fff4cd"},green:{line:"#7cc276",
tint:"#25402a",paper:"#2d5632",onPaper:"#e2f6de"},teal:{line:"#4fc0b1",tint:"#193f3b",paper:"#1a5750",onPaper:"#d6f5f0"},blue:{line:"#77a7f5",tint:"#233655",paper:"\
#294a7d",onPaper:"#e0ecff"},violet:{line:"#b692ee",tint:"#382b52",paper:"#4e3a78",onPaper:"#efe6ff"}},Fo=/^#(?:[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})$/i,tn=!1;function nn(n){
tn=n}function G(n){let e=tn?jo:Go,t=Object.hasOwn(e,n)?e[n]:void 0;if(t)return t;let o=Fo.test(n)?n:e.ink.line;return{line:o,tint:o.length===7?`${o}33`:o,paper:o,
onPaper:pe(o)}}var E=["#c2413b","#b8560f","#8a6a00","#4b7f1f","#0d7d70","#1f74a8","#3d5fd0","#7a4bc2","#b03a86","#5d6470"],Ko=/^#(?:[0-9a-f]{3}|[0-9a-f]{6})$/i,
q=(n,e)=>{if(typeof n=="string"&&Ko.test(n))return n.toLowerCase();let t=0;for(let o of e)t=Math.imul(t,31)+o.charCodeAt(0)|0;return E[Math.abs(t)%E.length]};function pe(n){
let e=n.length<6?[...n.slice(1,4)].map(r=>r+r).join(""):n.slice(1,7),[t,o,i]=[0,2,4].map(r=>{let s=parseInt(e.slice(r,r+2),16)/255;return s<=.03928?s/12.92:((s+
.055)/1.055)**2.4});return .2126*t+.7152*o+.0722*i>.179?"#16181d":"#ffffff"}var Uo=66,Vo=40,wt={first:500,most:1e4},on=new Set([1009,4400,4401,4403,4409]),bt=class{constructor(e,t,o){this.number=e;this.order=t;this.report=o;this.at=this.
from=this.to=rn(t().area),this.open()}number;order;report;client=`bot-${crypto.randomUUID()}`;connected=!1;socket;retry;delay=wt.first;instance="";at;from;to;progress=1;stepBy=.02;pause=0;leave(){
clearTimeout(this.retry);let{socket:e}=this;this.socket=void 0,this.connected=!1,e?.readyState===WebSocket.OPEN&&e.send('{"type":"bye"}'),e?.close(1e3)}step(){if(!this.
connected||this.pause-- >0)return;this.progress>=1&&(this.from=this.at,this.to=rn(this.order().area),this.progress=0,this.stepBy=.02+Math.random()*.04,this.pause=
Math.random()<.4?Math.floor(Math.random()*14):0),this.progress=Math.min(1,this.progress+this.stepBy);let e=this.progress<.5?2*this.progress**2:1-(2-2*this.progress)**
2/2,t=Math.sin(e*Math.PI)*.15,[o,i]=[this.to.x-this.from.x,this.to.y-this.from.y];this.at={x:this.from.x+o*e-i*t,y:this.from.y+i*e+o*t},this.socket&&this.socket.
bufferedAmount<4096&&this.send({type:"cursor",x:Math.round(this.at.x),y:Math.round(this.at.y)})}open(){let{url:e,token:t}=this.order(),o=new WebSocket(e,"scumbl\
e.v1");this.socket=o,o.onopen=()=>{let i={name:`Bot ${this.number}`,color:E[this.number%E.length]};this.send({type:"hello",v:1,client:this.client,user:i,...t?{token:t}:
{}})},o.onmessage=i=>this.receive(String(i.data)),o.onclose=i=>this.closed(o,i.code)}receive(e){let t=e.slice(0,40);if(t.includes('"welcome"'))this.instance=String(
JSON.parse(e).instance??""),this.connected=!0,this.delay=wt.first,this.send({type:"presence",state:{bot:!0,instance:this.instance}}),this.report("");else if(t.includes(
'"signal"')&&e.includes('"probe"')){let o=JSON.parse(e);if(o.event!=="probe"||!vt(this.client,o.data))return;let{n:i,t:r}=o.data;this.send({type:"signal",event:"\
echo",data:{n:i,t:r,to:o.client,i:this.instance}})}}closed(e,t){this.socket===e&&(this.socket=void 0,this.connected=!1,this.report(on.has(t)||t===4413?`refused \
(${t})`:void 0),!on.has(t)&&(this.retry=setTimeout(()=>this.open(),Math.random()*this.delay),this.delay=Math.min(wt.most,this.delay*2)))}send(e){this.socket?.readyState===
WebSocket.OPEN&&this.socket.send(JSON.stringify(e))}},rn=n=>({x:n.x+Math.random()*n.w,y:n.y+Math.random()*n.h});function sn(n){let e=[],t,o="",i=r=>{o=r??o,n.postMessage(
{connected:e.filter(s=>s.connected).length,wanted:t?.count??0,trouble:o})};setInterval(()=>{if(t){if(e.length<t.count)e.push(new bt(e.length+1,()=>t,i));else if(e.
length>t.count){for(;e.length>t.count;)e.pop().leave();i("")}}},Vo),setInterval(()=>e.forEach(r=>r.step()),Uo),n.onmessage=r=>{t=r.data,i("")}}var Le=class{constructor(e,t){this.url=e;this.token=t}url;token;onReport=()=>{};worker;set(e,t){if(e===0&&!this.worker)return;this.worker??=this.start();let o={
count:e,url:this.url,token:this.token,area:t};this.worker.postMessage(o)}start(){let e=new Worker(import.meta.url,{type:"module",name:"bots"});return e.addEventListener(
"message",t=>this.onReport(t.data)),e}};var Xo=.08,an=.005,kt=8,Ie=class{x=0;y=0;zoom=1;width=1;height=1;listeners=new Set;onChange(e){this.listeners.add(e)}resize(e,t){this.x+=(this.width-e)/2/this.zoom,
this.y+=(this.height-t)/2/this.zoom,this.width=e,this.height=t,this.changed()}toWorld(e){return{x:e.x/this.zoom+this.x,y:e.y/this.zoom+this.y}}toScreen(e){return{
x:(e.x-this.x)*this.zoom,y:(e.y-this.y)*this.zoom}}view(){return{x:this.x,y:this.y,w:this.width/this.zoom,h:this.height/this.zoom}}boxToWorld(e){return{...this.
toWorld(e),w:e.w/this.zoom,h:e.h/this.zoom}}panBy(e,t){this.x-=e/this.zoom,this.y-=t/this.zoom,this.changed()}zoomAt(e,t){let o=this.toWorld(e);this.zoom=v(t,Math.
min(Xo,this.zoom),kt),this.x=o.x-e.x/this.zoom,this.y=o.y-e.y/this.zoom,this.changed()}zoomAtCentre(e){this.zoomAt({x:this.width/2,y:this.height/2},e)}moveTo(e,t){
this.zoom=v(t,an,kt),this.x=e.x-this.width/2/this.zoom,this.y=e.y-this.height/2/this.zoom,this.changed()}fit(e,t={x:0,y:0,w:this.width,h:this.height},o=1){let i=Math.
min(t.w/Math.max(e.w,1),t.h/Math.max(e.h,1),o);this.zoom=v(i,an,kt),this.x=e.x+e.w/2-(t.x+t.w/2)/this.zoom,this.y=e.y+e.h/2-(t.y+t.h/2)/this.zoom,this.changed()}changed(){
for(let e of this.listeners)e()}};var b=n=>F(n.user?.name)??"Guest",T=n=>q(n.user?.color,n.client),Mt=n=>{let e=n.user?.vouched;return Array.isArray(e)&&e.includes("name")};function N(n,e){n.style.
setProperty("--person",e),n.style.setProperty("--on-person",pe(e))}function $e(n){let e=n.split(/\s+/).filter(Boolean);return e.length>1&&/^\d{1,3}$/.test(e.at(
-1))?e.at(-1):(e.length>1?[e[0],e.at(-1)]:e).map(o=>[...o][0].toUpperCase()).join("")||"?"}function St(){let n="This name is confirmed by a token";return f("spa\
n",{class:"vouched",title:n,testid:"vouched",attrs:{role:"img","aria-label":n}},H("check"))}var ln="(max-width: 640px)",cn="(max-width: 900px)",ze=class{constructor(e,t,o,i,r){
this.room=e;this.stack=t;this.list=o;this.follow=i;this.announce=r;e.on("others",()=>this.render());for(let s of[ln,cn])matchMedia(s).addEventListener("change",
()=>this.render());e.whenSynced().then(()=>setTimeout(()=>this.settled=!0,500),()=>{})}room;stack;list;follow;announce;known=new Map;settled=!1;render(){this.tell();
let e=[...this.room.others].sort((r,s)=>Number(w(r).bot)-Number(w(s).bot)||b(r).localeCompare(b(s),void 0,{numeric:!0})),t=matchMedia(ln).matches?1:matchMedia(cn).
matches?2:5,o=e.length<=t?e:e.slice(0,t-1),i=e.length-o.length;this.keepFocus(this.stack,()=>{this.stack.replaceChildren(...o.map(r=>this.avatar(r,"avatar"))),i>
0&&this.stack.append(this.more(i))}),this.keepFocus(this.list,()=>this.list.replaceChildren(...e.map(r=>this.row(r)))),e.length===0&&this.list.append(f("p",{class:"\
hint",text:"Nobody else is here yet. Share the link!"}))}avatar(e,t){let o=b(e),i=this.follow.client===e.client,r=f("button",{class:"avatar",title:i?`Stop follo\
wing ${o}`:`Follow ${o}`,testid:t,attrs:{"data-client":e.client,"data-away":String(e.away),"aria-pressed":String(i),"aria-label":`${o}${e.away?", connection los\
t":""}: follow`},onclick:()=>this.follow.toggle(e.client)});return N(r,T(e)),r.textContent=$e(o),r}more(e){return f("button",{class:"avatar avatar-more",text:`+${e}`,
testid:"avatar-more",attrs:{popovertarget:"people-list","aria-label":`${e} more people: show all`}})}row(e){let t=w(e),o=t.instance?`on ${X(t.instance)}`:"",i=[
t.bot?"bot":"",o].filter(Boolean).join(", "),r=f("b",{text:b(e)});Mt(e)&&r.append(St());let s=f("span",{class:"person-words"},r,f("small",{text:i})),a=f("button",
{class:"person",testid:"person",attrs:{"data-client":e.client,"aria-pressed":String(this.follow.client===e.client)},onclick:()=>this.follow.toggle(e.client)}),l=f(
"span",{class:"avatar",text:$e(b(e)),attrs:{"aria-hidden":"true","data-away":String(e.away)}});return N(l,T(e)),a.append(l,s),a}keepFocus(e,t){let o=document.activeElement,
i=o&&e.contains(o)?o.dataset.client:void 0;t(),i&&e.querySelector(`[data-client="${CSS.escape(i)}"]`)?.focus()}tell(){let e=new Map(this.room.others.filter(t=>!w(
t).bot).map(t=>[t.client,b(t)]));if(this.settled){for(let[t,o]of e)this.known.has(t)||this.announce(`${o} joined`);for(let[t,o]of this.known)e.has(t)||this.announce(
`${o} left`)}this.known=e}};var qo=300,Zo=4e3,Yo=12e4,Jo={pending:"Pending",sent:"Sending\u2026",acked:"Sent",failed:"Failed"},Be=class{constructor(e,t){this.room=e;this.isOpen=t;h("chat-f\
orm").addEventListener("submit",o=>{o.preventDefault(),this.submit()}),this.input.addEventListener("keydown",o=>{o.key!=="Enter"||o.shiftKey||D(o)||(o.preventDefault(),
this.submit())}),this.input.addEventListener("input",()=>this.fitInput()),e.on("chat",()=>this.render()),e.on("others",()=>this.render()),this.render()}room;isOpen;rows=new Map;list=h(
"chat-list");input=h("chat-input");unreadDot=h("chat-unread");seen=0;opened(){this.render(),this.list.scrollTop=this.list.scrollHeight,this.input.focus()}submit(){
let e=this.input.value.trim().slice(0,Zo);this.input.value="",this.fitInput(),e&&this.room.chat.send(e),this.list.scrollTop=this.list.scrollHeight}fitInput(){this.
input.style.height="auto",this.input.style.height=`${Math.min(120,this.input.scrollHeight+2)}px`}render(){let e=this.room.chat.messages.slice(-qo),t=this.list.scrollHeight-
this.list.scrollTop-this.list.clientHeight<40,o=new Set(e.map(s=>s.key));for(let[s,a]of this.rows)o.has(s)||(a.element.remove(),this.rows.delete(s));let i,r=this.
list.firstElementChild;for(let s of e){let a=!i||i.client!==s.client||s.at-i.at>Yo,l=this.row(s,a);r&&r.parentNode!==this.list&&(r=l),l===r?r=r.nextElementSibling:
this.list.insertBefore(l,r),i=s}h("chat-empty").hidden=e.length>0,t&&(this.list.scrollTop=this.list.scrollHeight),this.countUnread()}countUnread(){let e=this.room.
chat.messages.filter(i=>!i.own&&i.seq>0),t=e.at(-1)?.seq??0;this.isOpen()&&(this.seen=t);let o=e.filter(i=>i.seq>this.seen).length;this.unreadDot.hidden=o===0,this.
unreadDot.textContent=o>99?"99+":String(o),h("chat-button").setAttribute("aria-label",o>0?`Chat, ${o} unread`:"Chat")}markAllSeen(){this.seen=this.room.chat.messages.
filter(e=>!e.own).at(-1)?.seq??0,this.countUnread()}row(e,t){let o=this.rows.get(e.key),i=JSON.stringify(this.author(e));if(o&&o.headed===t&&o.message===e&&o.author===
i)return o.element;let r=this.build(e,t);return o&&o.element.replaceWith(r),this.rows.set(e.key,{element:r,message:e,headed:t,author:i}),r}author(e){let t=this.
room.others.find(r=>r.client===e.client),o=e.own?this.room.user:t?.user??e.user,i={client:e.client,user:o};return{name:b(i),color:T(i)}}build(e,t){let{name:o,color:i}=this.
author(e),r=new Date(e.at).toLocaleTimeString([],{hour:"2-digit",minute:"2-digit"}),s=f("li",{class:`message${e.own?" own":""}${t?" headed":""}`,testid:"chat-me\
ssage",attrs:{"data-state":e.state,"data-author":o}});if(N(s,i),t){let a=f("b",{text:e.own?`${o} (you)`:o});Mt({client:e.client,user:e.user})&&a.append(St()),s.
append(f("div",{class:"message-head"},a,f("time",{text:r})))}return s.append(f("p",{class:"message-text",text:e.text})),e.own&&s.append(this.foot(e)),s}foot(e){
let t=e.state==="failed",o=t?"alert":e.state==="acked"?"check":"clock",i=f("div",{class:"message-foot"},H(o),f("span",{text:Jo[e.state],testid:"chat-state"})),{
op:r}=e;return t&&r&&(i.title=r.error?.message??"",i.append(f("button",{class:"link",text:"Retry",testid:"chat-retry",onclick:()=>r.retry()}),f("button",{class:"\
link",text:"Discard",testid:"chat-discard",onclick:()=>{r.discard()}}))),i}};function A(){let n=crypto.getRandomValues(new Uint8Array(10));return Array.from(n,e=>"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-"[e&63]).join(
"")}var K=20,dn=48;function ge(){let n=h("stage").getBoundingClientRect(),e={left:0,top:0,right:n.width,bottom:n.height};for(let r of document.querySelectorAll(".pa\
nel:not([hidden])"))Qo(e,r.getBoundingClientRect());let t=document.querySelector(".bar-history")?.getBoundingClientRect();t&&t.height>t.width&&(e.left=Math.max(
e.left,t.right-n.left));for(let r of document.querySelectorAll(".bar-left, .bar-right, .dock")){let{height:s,top:a,bottom:l}=r.getBoundingClientRect();s!==0&&(a<
n.height/2?e.top=Math.max(e.top,l):e.bottom=Math.min(e.bottom,a))}let o=e.right-e.left-2*K,i=e.bottom-e.top-2*K;return o<dn||i<dn?{x:K,y:K,w:Math.max(1,n.width-
2*K),h:Math.max(1,n.height-2*K)}:{x:e.left+K,y:e.top+K,w:o,h:i}}function Qo(n,{left:e,top:t,right:o,bottom:i}){let r=[[o-n.left,"left",o],[n.right-e,"right",e],
[i-n.top,"top",i],[n.bottom-t,"bottom",t]],[s,a]=[n.right-n.left,n.bottom-n.top],l=([m,p])=>m/(p==="left"||p==="right"?s:a),[,c,d]=r.sort((m,p)=>l(m)-l(p))[0];n[c]=
d}var ei=6;function He({w:n,h:e,stroke:t}){let o=Math.hypot(n,e);if(o<1)return[];let i=Math.min(10+3*t,o*.6),r=Math.atan2(e,n),s=a=>({x:n-i*Math.cos(r+a),y:e-i*Math.
sin(r+a)});return[s(.45),{x:n,y:e},s(-.45)]}var Et=n=>({x:n.x+n.w/2,y:n.y+n.h/2});function hn(n,e){let t=S(k(n),ei+n.stroke/2),o=Et(t),[i,r]=[e.x-o.x,e.y-o.y];if(i===
0&&r===0)return o;let s=n.kind==="ellipse"?1/Math.hypot(i/(t.w/2),r/(t.h/2)):Math.min(t.w/2/Math.abs(i),t.h/2/Math.abs(r));return s>=1?o:{x:o.x+i*s,y:o.y+r*s}}function un(n,e){
let t=c=>{let d=c===void 0?void 0:e(c);return d&&Ne(d)?d:void 0},[o,i]=[t(n.from),t(n.to)];if(!o&&!i)return n;let[r,s]=[{x:n.x,y:n.y},{x:n.x+n.w,y:n.y+n.h}],a=o?
hn(o,i?Et(k(i)):s):r,l=i?hn(i,o?Et(k(o)):r):s;return{...n,x:a.x,y:a.y,w:l.x-a.x,h:l.y-a.y}}var Ne=n=>n.kind!=="line"&&n.kind!=="arrow"&&n.kind!=="draw";function ye(n,e){
let t=n.order();for(let o=t.length-1;o>=0;o--){let{shape:i}=t[o];if(n.settled(i.id)&&Ne(i)&&ue(k(i),e))return i}}function fn(n,e,t){let o=t+n.stroke/2,i=k(n);if(!ue(S(i,o),e))return!1;switch(n.kind){case"note":case"text":case"image":return!0;case"line":case"arrow":return Ce(
e,n.x,n.y,n.x+n.w,n.y+n.h)<=o;case"draw":return ni(n,e,o);case"rect":return n.fill!=="none"||!ue(S(i,-o),e)||i.w<2*o||i.h<2*o;case"ellipse":return ti(i,e,o,n.fill!==
"none")}}function ti(n,e,t,o){let i=n.w/2,r=n.h/2,s=e.x-n.x-i,a=e.y-n.y-r,l=c=>(s/Math.max(i+c,.1))**2+(a/Math.max(r+c,.1))**2<=1;return l(t)&&(o||i<=t||r<=t||!l(
-t))}function ni(n,e,t){let o=_(n.points),i=o.w>0?n.w/o.w:1,r=o.h>0?n.h/o.h:1,s={x:e.x-n.x,y:e.y-n.y},{points:a}=n;if(a.length===2)return Math.hypot(s.x,s.y)<=t;
for(let l=0;l+3<a.length;l+=2)if(Ce(s,a[l]*i,a[l+1]*r,a[l+2]*i,a[l+3]*r)<=t)return!0;return!1}function xe(n,e,t){let o=n.order(),i;for(let r=o.length-1;r>=0;r--){
let{shape:s}=o[r];if(n.settled(s.id)){if(fn(s,e,t))return s;s.fill!=="none"||!fn({...s,fill:"tint"},e,0)||(!i||s.w*s.h<i.w*i.h)&&(i=s)}}return i}function mn(n,e){
let t=[];for(let{shape:o}of n.order()){if(!n.settled(o.id))continue;let i=k(o);if(!ne(i,e))continue;!x(o.kind)&&he(i,e)&&!he(e,i)||t.push(o.id)}return t}var we='ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif',R=1.3,ve=16,oi=640,ii=12,ri,We=()=>ri??=document.createElement(
"canvas").getContext("2d"),Tt=n=>`${n}px ${we}`,P=n=>n==="note"||n==="text"||n==="rect"||n==="ellipse";function W(n,e,t){let o=be(n,e,t??oi),i=Math.max(...o.map(
r=>We().measureText(r).width));return{w:t??Math.ceil(Math.max(i,e*.5))+2,h:Math.ceil(o.length*e*R)}}function be(n,e,t,o=1/0){let i=We();i.font=Tt(e);let r=[];for(let s of n.
split(`
`)){let a="";for(let l of s.split(/(?<=\s)/)){a&&i.measureText((a+l).trimEnd()).width>t&&(r.push(a.trimEnd()),a=""),a+=l;for(let c=pn(a,e,t);c<a.trimEnd().length&&
r.length<o;c=pn(a,e,t))r.push(a.slice(0,c)),a=a.slice(c);if(r.length>=o)return r}if(r.push(a.trimEnd()),r.length>=o)return r}return r}function pn(n,e,t){let o=We(),
i=Math.min(n.length,8+Math.ceil(4*Math.max(0,t)/e));if(o.measureText(n.slice(0,i).trimEnd()).width<=t){if(i===n.length||o.measureText(n.trimEnd()).width<=t)return n.
length;i=n.length}let r=1;for(;r<i;){let a=r+i+1>>1;o.measureText(n.slice(0,a)).width<=t?r=a:i=a-1}let s=n.charCodeAt(r-1);return s>=55296&&s<=56319?r>1?r-1:r+1:
r}function De(n){let{w:e,h:t}=n;if(n.kind==="text")return{x:1,y:0,w:Math.max(1,e),h:t};if(n.kind==="note")return{x:ve,y:ve,w:Math.max(1,e-2*ve),h:Math.max(1,t-2*
ve)};let[o,i]=n.kind==="ellipse"?[e*.147,t*.147]:[8,6],r=n.stroke/2;return{x:o+r,y:i+r,w:Math.max(1,e-2*(o+r)),h:Math.max(1,t-2*(i+r))}}function At(n,e){if(n.kind===
"text")return n.size;let{w:t,h:o}=De(n),i=n.kind==="note"?v(Math.round(n.w/8),10,64):n.size,r=Math.min(i,ii,Math.max(6,n.w/12));for(let s=i;s>r;s=Math.floor(s*.88)){
let a=Math.floor(o/(s*R));if(be(e,s,t,a+1).length<=a)return s}return r}function Z(n){return n.layout??=si(n)}function si({shape:n,scrolled:e=0}){let t=De(n),o=At(
n,n.text),i=o*R,r=n.kind!=="text"?t.w:n.wrap?n.w+1:Math.max(n.w*1.08+8,o*2),s=be(n.text,o,r);if(n.kind==="text")return{box:t,size:o,lines:s,top:0,centred:!1,from:0,
total:s.length};let a=n.kind!=="note",l=Math.max(1,Math.floor((t.h+(n.kind==="note"?ve/2:1))/i)),c=v(e,0,Math.max(0,s.length-l)),d=ai(s.slice(c),l,p=>We().measureText(
p).width<=r),m=a?t.y+Math.max(0,(t.h-d.length*i)/2):t.y;return{box:t,size:o,lines:d,top:m,centred:a,from:c,total:s.length}}function ai(n,e,t){if(n.length<=e)return n;
let o=[...n[e-1]];for(;o.length>0&&!t(`${o.join("")}\u2026`);)o.pop();return[...n.slice(0,e-1),`${o.join("").trimEnd()}\u2026`]}var yn=n=>n.touch?8:3;function xn(n,e){let t=e.screen;return{move(o){n.camera.panBy(o.screen.x-t.x,o.screen.y-t.y),t=o.screen},end(){},cancel(){}}}function vn(n,e){
let t=e.shift||e.toggle?[...n.selection.ids]:[];t.length===0&&n.selection.clear();let o={marquee:void 0,move(i){o.marquee=gt(e.world,i.world),n.selection.set([...t,
...mn(n.scene,o.marquee)],"pointer"),n.invalidate()},end(){o.marquee=void 0,n.selection.size>0&&n.announce(`${n.selection.size} selected`),n.invalidate()},cancel(){
o.marquee=void 0,n.selection.set(t),n.invalidate()}};return o}function wn(n){return[...n.selection.ids].map(e=>n.scene.get(e)).filter(e=>e!==void 0)}function Pt(n,e,t){
let o=wn(n),i=n.scene.bounds(n.selection.ids)??{...e.world,w:0,h:0},r;return{move(s){if(!r&&Math.hypot(s.screen.x-e.screen.x,s.screen.y-e.screen.y)<yn(s))return;
let a=s.world.x-e.world.x,l=s.world.y-e.world.y;s.shift&&(Math.abs(a)>Math.abs(l)?l=0:a=0),r=n.drafts.map(o,{from:i,to:{...i,x:i.x+a,y:i.y+l}})},end(s){r?Y(n,"M\
ove",Ct(n,r)):t&&!s.shift&&!s.toggle&&n.selection.set([t],"pointer"),r&&n.drafts.end()},cancel(){r&&n.drafts.end()}}}function Ct(n,e){return new Map([...e].map(
([t,o])=>{let i=n.scene.settled(t),r=s=>s!==void 0&&!e.has(s);return[t,{...o,...r(i?.from)&&{from:null},...r(i?.to)&&{to:null}}]}))}function bn(n,e,t){let o=wn(
n),i=n.scene.bounds(n.selection.ids),r=o.some(l=>l.kind==="text"||l.kind==="image"),[s]=o;if(s?.kind==="text"&&o.length===1&&t.sy===0)return li(n,e,s,t);let a=new Map;
return{move(l){let c=l.world.x-e.world.x,d=l.world.y-e.world.y;a=n.drafts.map(o,ci(i,t,c,d,l.shift||r,l.alt))},end(){Y(n,"Resize",a),n.drafts.end()},cancel:()=>n.
drafts.end()}}function li(n,e,t,o){let i=n.room.objects.get(t.id),r;return{move(s){let a=u(Math.max(2*t.size,t.w+o.sx*(s.world.x-e.world.x))),l=u(o.sx<0?t.x+t.w-
a:t.x);r=n.drafts.reshape(t,{...i,x:l,w:a,h:W(t.text,t.size,a).h,wrap:!0})},end(){r&&Y(n,"Change width",new Map([[t.id,{...r,wrap:!0}]])),n.drafts.end()},cancel:()=>n.
drafts.end()}}function ci(n,e,t,o,i,r){let s=r?2:1,a=n.w+e.sx*t*s,l=n.h+e.sy*o*s;if(i&&n.w>0&&n.h>0){let m=e.sx===0?0:a/n.w,p=e.sy===0?0:l/n.h,M=Math.abs(m)>Math.
abs(p)?m:p;a=n.w*M,l=n.h*M}Math.abs(a)<1&&(a=n.w===0?0:1),Math.abs(l)<1&&(l=n.h===0?0:1);let c=r||e.sx===0?n.x+(n.w-a)/2:e.sx>0?n.x:n.x+n.w-a,d=r||e.sy===0?n.y+
(n.h-l)/2:e.sy>0?n.y:n.y+n.h-l;return{from:n,to:{x:c,y:d,w:a,h:l}}}function kn(n,e,t){let o=n.room.objects.get(e.id),i,r={move(s){let a=t===0?{x:e.x+e.w,y:e.y+e.
h}:{x:e.x,y:e.y},l=s.shift?Mn(a,s.world):s.world,[c,d]=t===0?[l,a]:[a,l],m={x:u(c.x),y:u(c.y),w:u(d.x-c.x),h:u(d.y-c.y)};i=n.drafts.reshape(e,{...o,...m}),e.kind===
"arrow"&&(r.holder=ye(n.scene,s.world)?.id)},end(){let s=e.kind==="arrow"?{[t===0?"from":"to"]:r.holder??null}:{};i&&Y(n,"Move line end",new Map([[e.id,{...i,...s}]])),
n.drafts.end()},cancel:()=>n.drafts.end()};return r}function Mn(n,e){let t=Math.PI/4,o=Math.round(Math.atan2(e.y-n.y,e.x-n.x)/t)*t,i=Math.hypot(e.x-n.x,e.y-n.y);
return{x:n.x+Math.cos(o)*i,y:n.y+Math.sin(o)*i}}var di={rect:[160,100],ellipse:[140,140],line:[160,0],arrow:[160,0]};function _e(n,e,t){let o={id:A(),kind:t,color:n.
style.color,stroke:n.style.stroke,z:n.scene.topZ()+1};x(t)||(o.fill=n.style.fill);let i=t==="arrow"?ye(n.scene,e.world):void 0,r=!1,s={holder:i?.id,move(a){r||=
Math.hypot(a.screen.x-e.screen.x,a.screen.y-e.screen.y)>=yn(a),r&&(Object.assign(o,gn(t,e.world,a)),t==="arrow"&&(s.holder=ye(n.scene,a.world)?.id),n.drafts.shape(
{...o}))},end(a){if(r)Object.assign(o,gn(t,e.world,a));else{let[c,d]=di[t];Object.assign(o,{x:u(e.world.x-c/2),y:u(e.world.y-d/2),w:c,h:d})}let l=t==="arrow"&&r?
ye(n.scene,a.world):void 0;r&&i?.id!==l?.id&&Object.assign(o,i&&{from:i.id},l&&{to:l.id}),hi(n,o)},cancel:()=>n.drafts.end()};return s}function gn(n,e,t){if(x(n)){
let r=t.shift?Mn(e,t.world):t.world;return{x:u(e.x),y:u(e.y),w:u(r.x-e.x),h:u(r.y-e.y)}}let o=t.world;if(t.shift){let r=Math.max(Math.abs(o.x-e.x),Math.abs(o.y-
e.y));o={x:e.x+Math.sign(o.x-e.x||1)*r,y:e.y+Math.sign(o.y-e.y||1)*r}}let i=gt(e,o);return{x:u(i.x),y:u(i.y),w:u(Math.max(i.w,1)),h:u(Math.max(i.h,1))}}function hi(n,e){
n.history.group("Draw",()=>n.history.create(e)),n.drafts.end(),n.setTool("select");let t=n.scene.settled(e.id);t&&(n.selection.set([e.id]),n.announce(`${re(t)} \
added`))}function ke(n,e,t){let o=n.scene.topZ()+1,i=A(),r={id:i,kind:t,x:u(e.x-90),y:u(e.y-90),w:180,h:180,color:ui(n),text:"",z:o},s={id:i,kind:t,x:u(e.x),y:u(
e.y-14),w:12,h:29,color:n.style.color,size:22,text:"",z:o};n.history.begin(t==="note"?"Add note":"Add text"),n.history.create(t==="note"?r:s),n.setTool("select"),
n.selection.set([i]),n.editor.open(i,!0),n.announce(t==="note"?"Sticky note added: write on it, Escape ends":"Text begun: write, Escape ends")}var ui=n=>n.style.
color==="ink"?"yellow":n.style.color;function Rt(n,e){if(n.selection.size<2)return!1;let t=n.scene.bounds(n.selection.ids);return t!==void 0&&e.x>=t.x&&e.x<=t.x+
t.w&&e.y>=t.y&&e.y<=t.y+t.h}var fi={rect:"Rectangle",ellipse:"Ellipse",line:"Line",arrow:"Arrow",draw:"Stroke",note:"Sticky note",text:"Text",image:"Image"};function re(n){let e=n.text.trim().
slice(0,60);if(n.kind==="image")return e?`Image, \u201C${e}\u201D`:"Image";let t=`${fi[n.kind]??n.kind}, ${n.color.startsWith("#")?"own colour":n.color}`;return e?
`${t}, \u201C${e}\u201D`:t}var $=(n,e)=>`${n} ${e}${n===1?"":"s"}`;function se(n){let e=[...n.selection.ids];e.length!==0&&(n.history.group("Delete",()=>{for(let t of new Set(
e.flatMap(o=>n.scene.arrowsOf(o))))n.selection.has(t)||mi(n,t);e.forEach(t=>n.history.remove(t))}),n.selection.clear(),n.announce(`${$(e.length,"object")} delet\
ed`))}function mi(n,e){let t=n.scene.get(e);if(!t)return;let o=r=>r!==void 0&&n.selection.has(r),i={x:u(t.x),y:u(t.y),w:u(t.w),h:u(t.h)};n.history.update(e,{...i,
...o(t.from)&&{from:null},...o(t.to)&&{to:null}})}function Sn(n,e,t){let o=[...n.selection.ids],i=new Map;for(let r of o){let s=n.scene.get(r);s&&i.set(r,{...e&&
{x:u(s.x+e)},...t&&{y:u(s.y+t)}})}Y(n,"Move",Ct(n,i),`nudge ${o.join(" ")}`)}function En(n,e,t){let o=[...n.selection.ids],i=o.map(l=>n.scene.get(l)).filter(l=>l!==
void 0),r=n.scene.bounds(o);if(!r)return;let[s]=i,a=new Map;if(i.length===1&&s&&x(s.kind))a.set(s.id,{w:u(s.w+e),h:u(s.h+t),...s.to&&{to:null}});else if(i.length===
1&&s?.kind==="text"){let l=Math.max(2*s.size,s.w+e+t);a.set(s.id,{...W(s.text,s.size,l),wrap:!0})}else{let l={...r,w:r.w===0?0:Math.max(4,r.w+e),h:r.h===0?0:Math.
max(4,r.h+t)};for(let c of i)a.set(c.id,me(c,fe(c,{from:r,to:l})))}Y(n,"Resize",a,`resize ${o.join(" ")}`)}var Ge=n=>Math.round(n);function pi(n,e,t){let o=n.scene.
bounds(e);if(!o)return;let i=e.length===1?re(n.scene.get(e[0])):$(e.length,"object"),r=t==="Resize"?`${Ge(o.w)} by ${Ge(o.h)}`:`${Ge(o.x)}, ${Ge(o.y)}`;n.announce(
`${i}: ${t==="Resize"?"now":"moved to"} ${r}`)}function Y(n,e,t,o){n.history.group(e,()=>{for(let[i,r]of t){let s=n.scene.settled(i);if(!s)continue;let a=Object.
fromEntries(Object.entries(r).filter(([l,c])=>(s[l]??null)!==c));Object.keys(a).length>0&&n.history.update(i,a)}},o),pi(n,[...t.keys()],e.startsWith("Resize")?"\
Resize":"Moved")}function je(n,e){Object.assign(n.style,e);let t=[...n.selection.ids].filter(o=>n.scene.settled(o));t.length!==0&&n.history.group("Change style",
()=>t.forEach(o=>n.history.update(o,{...e})))}function Me(n,e){let t=n.scene.ids().filter(i=>n.selection.has(i));if(t.length===0)return;let o=e==="front"?n.scene.
topZ()+1:n.scene.bottomZ()-t.length;n.history.group(e==="front"?"Bring to front":"Send to back",()=>{t.forEach((i,r)=>n.history.update(i,{z:o+r}))})}function Fe(n){
let t=n.scene.ids().filter(o=>n.selection.has(o)).map(o=>n.room.objects.get(o)).filter(o=>o!==void 0);Ot(n,"Duplicate",t.map(o=>({...o,x:(o.x??0)+20,y:(o.y??0)+
20})))}function Ot(n,e,t){if(t.length===0||!n.mayWrite())return;let o=n.scene.topZ()+1,i=new Map(t.map(s=>[s.id,A()])),r=t.map((s,a)=>{let{rev:l,from:c,to:d,...m}=structuredClone(
s),p={...c&&i.has(c)&&{from:i.get(c)},...d&&i.has(d)&&{to:i.get(d)}};return{...m,...p,id:i.get(s.id),z:o+a}});n.history.createAll(e,r),n.selection.set(r.map(s=>s.
id)),n.announce(`${$(r.length,"object")} added`)}function Tn(n,e){let t=n.scene.ids();if(t.length===0)return n.announce("The canvas is empty");let o=t.findIndex(
l=>n.selection.has(l)),i=o<0?e>0?0:t.length-1:(o+e+t.length)%t.length,r=t[i];n.selection.set([r],"keyboard");let s=n.scene.bounds([r]);he(n.camera.boxToWorld(ge()),
s)||n.camera.fit(s,ge(),n.camera.zoom),n.announce(`${re(n.scene.get(r))}, ${i+1} of ${t.length}`)}var gi=["rect","ellipse","line","arrow","draw","note","text","image"],yi=["none","tint","solid"],Lt=1e6;function y(n,e,t=Lt){return typeof n=="number"&&Number.isFinite(
n)?v(n,-t,t):e}var z=8e3,An=n=>typeof n=="string"&&n.length<=64?n:void 0,xi=/^asset:[0-9a-f]{64}$/,vi={rect:[120,80],ellipse:[120,80],line:[120,0],arrow:[120,0],
draw:[0,0],note:[180,180],text:[120,28],image:[160,120]};function ae(n){let e=gi.includes(n.kind)?n.kind:"rect",t=Array.isArray(n.points)?n.points.map(s=>y(s,0)):
[],[o,i]=e==="draw"?[_(t).w,_(t).h]:vi[e],r=e==="rect"||e==="ellipse"?"tint":"none";return{id:String(n.id),kind:e,x:y(n.x,0),y:y(n.y,0),w:x(e)?y(n.w,o):Math.abs(
y(n.w,o)),h:x(e)?y(n.h,i):Math.abs(y(n.h,i)),color:typeof n.color=="string"?n.color:e==="note"?"yellow":"ink",fill:yi.includes(n.fill)?n.fill:r,stroke:v(y(n.stroke,
2),1,40),points:t,text:typeof n.text=="string"?n.text.slice(0,z):"",size:v(y(n.size,22),6,400),wrap:n.wrap===!0,from:e==="arrow"?An(n.from):void 0,to:e==="arrow"?
An(n.to):void 0,z:y(n.z,0,1e12),src:e==="image"&&typeof n.src=="string"&&xi.test(n.src)?n.src:""}}function Pn(n){let e=n.kind==="arrow"?6+2*n.stroke:0,t=n.kind===
"note"?10:n.kind==="text"?4:n.stroke/2+2+e;return{shape:n,painted:S(k(n),t)}}var Cn=(n,e)=>n.shape.z-e.shape.z||(n.shape.id<e.shape.id?-1:1),Ke=class{base=new Map;previews=new Map;ghosts=new Map;items=new Map;arrows=new Map;scrolls=new Map;sorted=[];unsorted=!1;dirtyBoxes=[];onDirty=()=>{};get size(){
return this.base.size}get(e){return this.items.get(e)?.shape}ids(){return this.order().filter(e=>this.base.has(e.shape.id)).map(e=>e.shape.id)}order(){return this.
unsorted&&(this.sorted=[...this.items.values()].sort(Cn),this.unsorted=!1),this.ghosts.size===0?this.sorted:[...this.sorted,...this.ghosts.values()]}topZ(){let e=this.
order();for(let t=e.length-1;t>=0;t--)if(this.base.has(e[t].shape.id))return e[t].shape.z;return 0}bottomZ(){return this.order()[0]?.shape.z??0}bounds(e){let t;
for(let o of e){let i=this.get(o);i&&(t=t?te(t,k(i)):k(i))}return t}set(e,t){let o=this.base.get(e),i=t&&ae(t);for(let r of[o?.from,o?.to])r&&this.arrows.get(r)?.
delete(e);for(let r of[i?.from,i?.to])r&&this.arrows.set(r,(this.arrows.get(r)??new Set).add(e));i?this.base.set(e,i):(this.base.delete(e),this.previews.delete(
e),this.scrolls.delete(e)),this.refresh(e)}arrowsOf(e){return[...this.arrows.get(e)??[]]}hidesText(e){let t=this.items.get(e);if(!t||!t.shape.text||!P(t.shape.kind))
return!1;let{lines:o,total:i}=Z(t);return i>o.length}scrollText(e,t){let o=this.items.get(e);if(!o||!this.hidesText(e))return!1;let{from:i,lines:r,total:s}=Z(o),
a=v(i+t,0,s-r.length);return a===i?!1:(this.scrolls.set(e,a),this.refresh(e),!0)}preview(e,t){if(t)this.previews.set(e,t);else if(!this.previews.delete(e))return;
this.refresh(e)}settled(e){return this.base.get(e)}ghost(e,t){let o=this.ghosts.get(e);if(o&&this.dirty(o.painted),!t){this.ghosts.delete(e);return}let i=Pn(t);
this.ghosts.set(e,i),this.dirty(i.painted)}refresh(e){let t=this.items.get(e);t&&this.dirty(t.painted);let o=this.base.get(e);if(!o)return this.items.delete(e)&&
(this.unsorted=!0),this.refreshArrows(e);let i=this.previews.get(e),r=i?{...o,...i}:o,s=Pn(i?r:un(r,l=>this.items.get(l)?.shape)),a=this.scrolls.get(e);a!==void 0&&
(s.scrolled=a),this.items.set(e,s),!t||t.shape.z!==s.shape.z||this.unsorted?this.unsorted=!0:this.replaceSorted(t,s),this.dirty(s.painted),this.refreshArrows(e)}refreshArrows(e){
let t=this.base.get(e);if(!(t&&!Ne(t)))for(let o of this.arrows.get(e)??[])o!==e&&this.refresh(o)}replaceSorted(e,t){let o=0,i=this.sorted.length-1;for(;o<=i;){
let r=o+i>>1,s=this.sorted[r];if(s===e){this.sorted[r]=t;return}Cn(s,e)<0?o=r+1:i=r-1}this.unsorted=!0}dirty(e){this.dirtyBoxes.push(e),this.onDirty()}takeDirty(){
let e=this.dirtyBoxes;return this.dirtyBoxes=[],e}dropCaches(){for(let e of this.items.values())e.path=e.layout=void 0}};var It=class{onChange=()=>{};room;entries=new Map;uploads=new Map;start(e){this.room=e}get(e){if(e===""||!this.room)return;let t=this.entries.get(e)??this.load(
e);return this.entries.delete(e),this.entries.set(e,t),this.entries.size>300&&this.entries.delete(this.entries.keys().next().value),t.picture}progress(e){return this.
uploads.get(e)}setProgress(e,t){t===void 0?this.uploads.delete(e):this.uploads.set(e,t),this.onChange()}load(e){let t={picture:void 0,done:this.tried(e).then(o=>{
t.picture=o,o&&this.onChange()})};return t}async tried(e){for(let t=0;t<12;t++)try{let o=new Image;return o.crossOrigin="anonymous",o.src=await this.room.assets.
url(e),await o.decode(),o}catch{await new Promise(o=>setTimeout(o,Math.min(2e4,500*2**t)))}}async loaded(e){let t=[...new Set(e)],o=Promise.all(t.map(i=>(this.get(
i),this.entries.get(i)?.done)));return await Promise.race([o,new Promise(i=>setTimeout(i,15e3))]),t.filter(i=>!this.entries.get(i)?.picture).length}async embedded(e){
let t=new Map,o=AbortSignal.timeout(15e3),i=async s=>{for(let a=0;!o.aborted;a++)try{let l=await fetch(await this.room.assets.url(s),{signal:o});if(!l.ok)throw new Error(
l.statusText);t.set(s,await wi(await l.blob()));return}catch{await new Promise(l=>setTimeout(l,Math.min(15e3/4,500*2**a)))}},r=[...new Set(e)];return await Promise.
all(r.map(i)),{all:t,missing:r.length-t.size}}};function wi(n){return new Promise((e,t)=>{let o=new FileReader;o.onload=()=>e(String(o.result)),o.onerror=()=>t(
o.error??new Error("the picture can't be read")),o.readAsDataURL(n)})}var O=new It;var Rn=.6,On=800,$t=20,Ln=24,zt;function In(n,e){O.start(n.room),O.onChange=()=>{n.renderer.repaintAll(),n.invalidate()},e.addEventListener("pointermove",({clientX:t,
clientY:o})=>zt={x:t,y:o}),e.addEventListener("pointerleave",()=>zt=void 0),document.addEventListener("dragover",t=>{t.dataTransfer?.types.includes("Files")&&t.
preventDefault()}),document.addEventListener("drop",t=>{let o=[...t.dataTransfer?.files??[]];if(o.length===0)return;t.preventDefault();let i=o.filter(({type:r})=>r.
startsWith("image/"));if(i.length===0)return n.toast("Only pictures can be dropped here");zn(n,i,{x:t.clientX,y:t.clientY})})}function $n(n,e){let t=[...e.files].
filter(({type:o})=>o.startsWith("image/"));return t.length>0&&zn(n,t,zt),t.length>0}async function zn(n,e,t){if(!n.mayWrite())return;e.length>$t&&n.toast(`${$t}\
 pictures at a time: the rest was left out`);let o=[];for(let i of e.slice(0,$t))try{o.push(await bi(n,i,t,o.length))}catch(r){n.toast(`${i.name||"The picture"}\
 can't be shown: ${r instanceof Error?r.message:String(r)}`)}if(o.length!==0){for(let{file:i,wire:r}of o)Si(n,i,r);n.history.createAll("Add picture",o.map(({wire:i})=>i)),
n.selection.set(o.map(({wire:i})=>i.id)),n.announce(`${$(o.length,"picture")} added`)}}async function bi(n,e,t,o){let i=n.room.limits.max_asset_bytes;if(n.room.
status==="connected"&&i===void 0)throw new Error("this relay takes no pictures (--assets-dir)");let r=await Mi(e),s=n.camera.view(),a=Math.min(1,On/r.w,On/r.h,Rn*
s.w/r.w,Rn*s.h/r.h),[l,c]=[r.w*a,r.h*a],d=t?ki(n,t):{x:s.x+s.w/2,y:s.y+s.h/2},m={id:A(),kind:"image",x:u(d.x-l/2+o*Ln),y:u(d.y-c/2+o*Ln),w:u(l),h:u(c),z:n.scene.
topZ()+1+o,src:await n.room.assets.idOf(e),...e.name&&{text:e.name.slice(0,100)}};return{file:e,wire:m}}function ki(n,{x:e,y:t}){let{left:o,top:i}=document.getElementById(
"overlay").getBoundingClientRect();return n.camera.toWorld({x:e-o,y:t-i})}async function Mi(n){let e=URL.createObjectURL(n);try{let t=new Image;return t.src=e,await t.
decode().catch(()=>Promise.reject(new Error("it is no picture that this browser knows"))),{w:t.naturalWidth||300,h:t.naturalHeight||150}}finally{URL.revokeObjectURL(
e)}}function Si(n,e,{id:t,src:o=""}){O.setProgress(o,0);let i=({sent:r,total:s})=>O.setProgress(o,s===0?1:r/s);n.room.assets.upload(e,{onProgress:i}).catch(r=>{
r.code!=="closed"&&(n.toast(`Not uploaded: ${r instanceof Error?r.message:String(r)}`),n.room.objects.has(t)&&n.room.objects.delete(t),n.selection.drop(t))}).finally(
()=>O.setProgress(o,void 0))}var Hn="application/x-scumble+json",Ue="data-scumble",Ei=1e4,Ti=20,Se={text:"",times:0};function Nn(n){document.addEventListener("copy",e=>Bt(e)&&Bn(n,e,"copied")),
document.addEventListener("cut",e=>{Bt(e)&&Bn(n,e,"cut")&&se(n)}),document.addEventListener("paste",e=>Bt(e)&&Ai(n,e))}function Bt(n){let e=n.target;return n.defaultPrevented||
document.querySelector("dialog[open]")||e instanceof HTMLInputElement||e instanceof HTMLTextAreaElement||e?.isContentEditable?!1:n.type==="paste"||(getSelection()?.
toString()??"")===""}function Bn(n,e,t){let i=n.scene.ids().filter(l=>n.selection.has(l)).map(l=>n.room.objects.get(l)).filter(l=>l!==void 0);if(i.length===0||!e.
clipboardData)return!1;e.preventDefault();let r=JSON.stringify({scumble:1,objects:i}),s=i.map(l=>l.text).filter(l=>typeof l=="string"&&l!=="").join(`
`),a=document.createElement("div");return a.setAttribute(Ue,r),a.textContent=s,e.clipboardData.setData(Hn,r),e.clipboardData.setData("text/html",a.outerHTML),e.
clipboardData.setData("text/plain",s||r),Se={text:"",times:0},n.toast(`${$(i.length,"object")} ${t}`),!0}function Ai(n,e){let{clipboardData:t}=e;if(!t)return;if($n(
n,t))return e.preventDefault();let o=t.getData("text/plain"),i=t.getData(Hn)||Pi(t.getData("text/html"))||o,r=Ci(i);if(r.length===0&&o.trim()===""||(e.preventDefault(),
!n.mayWrite()))return;if(r.length===0)return Oi(n,o);Se=Se.text===i?{text:i,times:Se.times+1}:{text:i,times:1};let s=Ti*Se.times;Ot(n,"Paste",Ri(n,r).map(a=>({...a,
x:u(y(a.x,0)+s),y:u(y(a.y,0)+s)})))}function Pi(n){return n.includes(Ue)?new DOMParser().parseFromString(n,"text/html").querySelector(`[${Ue}]`)?.getAttribute(Ue)??
"":""}function Ci(n){if(!n.startsWith("{"))return[];let e;try{e=JSON.parse(n)}catch{return[]}let t=I(e)&&g(e,"scumble")===1?g(e,"objects"):void 0;if(!Array.isArray(
t))return[];let o=i=>I(i)&&typeof g(i,"id")=="string"&&typeof g(i,"kind")=="string";return t.filter(o).slice(0,Ei)}function Ri(n,e){let t=n.camera.view(),o=({x:l,
y:c})=>{let[d,m]=[y(l,0),y(c,0)];return d>=t.x&&m>=t.y&&d<=t.x+t.w&&m<=t.y+t.h};if(e.some(o))return[...e];let i=Math.min(...e.map(({x:l})=>y(l,0))),r=Math.min(...e.
map(({y:l})=>y(l,0))),[s,a]=[t.x+t.w/4-i,t.y+t.h/4-r];return e.map(l=>({...l,x:y(l.x,0)+s,y:y(l.y,0)+a}))}function Oi(n,e){let t=e.replace(/\r\n?/g,`
`).trimEnd().slice(0,z);t.length<e.trimEnd().length&&e.trimEnd().length>z&&n.toast(`A text has at most ${z.toLocaleString("en")} characters: the rest was left o\
ut`);let o=n.camera.view(),i=22,r=W(t,i),s={x:u(o.x+o.w/2-r.w/2),y:u(o.y+o.h/2-Math.min(r.h,o.h)/2)},a={id:A(),kind:"text",...s,...r,color:n.style.color,size:i,
text:t,z:n.scene.topZ()+1};r.w>=640&&(a.wrap=!0),n.history.group("Paste",()=>n.history.create(a)),n.selection.set([a.id]),n.announce("Text added")}var Li=400,Wn=1e7,Ve=class{constructor(e,t,o,i){this.room=e;this.camera=t;this.layer=o;e.on("cursors",()=>{this.lastEvent=performance.now(),i()}),e.on("others",
()=>this.names()),setInterval(i,1e3)}room;camera;layer;shown=new Map;lastEvent=0;get count(){return this.shown.size}frame(e){let t=new Set;for(let o of this.room.
cursors.sample(e)){if(!(Math.abs(o.x)<Wn&&Math.abs(o.y)<Wn))continue;t.add(o.client);let i=this.shown.get(o.client)??this.add(o.client),r=this.camera.toScreen(o),
s=`translate(${r.x.toFixed(1)}px, ${r.y.toFixed(1)}px)`;s!==i.transform&&(i.root.style.transform=i.transform=s),i.root.classList.toggle("dim",o.dim)}for(let[o,i]of this.
shown)t.has(o)||(i.root.remove(),this.shown.delete(o));return this.shown.size>0&&e-this.lastEvent<Li}add(e){let t=f("span",{class:"cursor-label"}),o=f("div",{class:"\
cursor",testid:"cursor",attrs:{"data-client":e}},H("cursor"),t),i={root:o,label:t,transform:"",name:"",color:""};return this.shown.set(e,i),this.layer.append(o),
this.name(e,i),i}names(){for(let[e,t]of this.shown)this.name(e,t)}name(e,t){let o=this.room.others.find(s=>s.client===e),i=o?b(o):"Guest",r=T(o??{client:e,user:{}});
t.name!==i&&(t.label.textContent=t.name=i),t.color!==r&&(t.color=r,N(t.root,r))}};var Ii=50,Dn=100,jn=200,$i=4*jn,zi=12e3,Bi=800,Hi=4e3,Xe=class{constructor(e,t){this.scene=e;this.send=t}scene;send;remote=new Map;local=new Map;ghostId;queued;timer;strokeSent=0;get busy(){
return this.local.size>0||this.ghostId!==void 0}map(e,t){let o=new Map;for(let a of e)this.scene.settled(a.id)&&o.set(a.id,this.change(a,fe(a,t)));let{from:i,to:r}=t,
s=[...o.keys()];return s.length<=Dn&&this.queue(()=>({k:"map",ids:s,f:[i.x,i.y,i.w,i.h].map(u),t:[r.x,r.y,r.w,r.h].map(u)})),o}reshape(e,t){return this.queue(()=>({
k:"shape",o:t})),this.change(e,ae(t))}shape(e){this.showGhostOfOwn(e),this.queue(()=>({k:"shape",o:e}))}stroke(e,t){this.showGhostOfOwn({...e,...qe(t)}),this.queue(
()=>{let o=this.strokeSent,i=t.slice(o,o+2*jn);return this.strokeSent=o+i.length,i.length>0?{k:"stroke",o:e,at:o,p:i}:void 0})}end(){let e=[...this.local.keys()];
this.local.clear();for(let t of e)this.show(t);this.ghostId&&this.scene.ghost(this.ghostId,void 0),this.ghostId=void 0,clearTimeout(this.timer),this.timer=void 0,
this.queued=void 0,this.strokeSent=0,this.send({k:"end"})}showGhostOfOwn(e){this.ghostId=e.id,this.scene.ghost(e.id,ae(e))}change(e,t){let o=me(e,t);return this.
local.set(e.id,o),this.show(e.id),o}show(e){let o=[...[...this.remote.values()].map(({objects:i})=>i.get(e)?.change),this.local.get(e)].filter(i=>i!==void 0);this.
scene.preview(e,o.length>0?Object.assign({},...o):void 0)}queue(e){this.queued=e,this.timer??=setTimeout(()=>{this.timer=void 0;let t=this.queued?.();this.queued=
void 0,t&&this.send(t)},Ii)}receive(e,t){if(!I(t))return;let o={k:g(t,"k"),ids:g(t,"ids"),f:g(t,"f"),t:g(t,"t"),o:g(t,"o"),at:g(t,"at"),p:g(t,"p")},i=this.remote.
get(e)??{objects:new Map,ghost:void 0,origin:void 0,points:[],timer:void 0};if(this.remote.set(e,i),clearTimeout(i.timer),i.timer=setTimeout(()=>this.forget(e),
o.k==="end"?Bi:Hi),o.k==="map")this.receiveMap(i,o);else if(o.k==="shape")this.receiveShape(i,o.o);else if(o.k==="stroke")this.receiveStroke(i,o);else if(o.k===
"end")for(let r of i.objects.values())r.start=void 0}receiveMap(e,t){let{ids:o,f:i,t:r}=t;if(!_n(i)||!_n(r))return;let[s,a,l,c]=i,[d,m,p,M]=r,V={from:{x:s,y:a,w:l,
h:c},to:{x:d,y:m,w:p,h:M}};for(let Pe of ie(o,Dn))this.scene.settled(Pe)&&this.receiveChange(e,Pe,ut=>fe(ut,V))}receiveChange(e,t,o){let i=e.objects.get(t)?.start??
this.scene.get(t);e.objects.set(t,{start:i,change:me(i,o(i))}),this.show(t)}receiveShape(e,t){Gn(t)&&(this.scene.settled(t.id)?this.receiveChange(e,t.id,()=>ae(
t)):this.showGhost(e,t))}receiveStroke(e,t){let{o,p:i,at:r}=t;if(!Gn(o)||!Array.isArray(i)||this.scene.settled(o.id))return;(e.origin?.id!==o.id||r===0)&&(e.points=
[]),e.origin=o;let s=Math.min($i,zi-e.points.length);for(let a of i.slice(0,s))e.points.push(y(a,0));this.showGhost(e,{...o,...qe(e.points)})}showGhost(e,t){e.ghost&&
e.ghost!==t.id&&this.scene.ghost(e.ghost,void 0),e.ghost=t.id,this.scene.ghost(t.id,ae(t))}objectChanged(e,t){for(let[o,i]of this.remote)(t===o||t==="")&&i.objects.
delete(e)&&this.show(e),i.ghost===e&&(this.scene.ghost(e,void 0),i.ghost=void 0)}forgetUnless(e){for(let t of[...this.remote.keys()])e(t)||this.forget(t)}forget(e){
let t=this.remote.get(e);if(t){clearTimeout(t.timer),this.remote.delete(e);for(let o of t.objects.keys())this.show(o);t.ghost&&this.scene.ghost(t.ghost,void 0)}}};
function qe(n){let[e,t,o,i]=[1/0,1/0,-1/0,-1/0];for(let s=0;s+1<n.length;s+=2)e=Math.min(e,n[s]),o=Math.max(o,n[s]),t=Math.min(t,n[s+1]),i=Math.max(i,n[s+1]);if(e===
1/0)return{x:0,y:0,w:0,h:0,points:[]};let r=n.map((s,a)=>u(s-(a%2===0?e:t)));return{x:u(e),y:u(t),w:u(o-e),h:u(i-t),points:r}}var _n=n=>Array.isArray(n)&&n.length===
4&&n.every(e=>Number.isFinite(e)&&Math.abs(e)<=Lt),Gn=n=>I(n)&&ie([g(n,"id")]).length===1&&typeof g(n,"kind")=="string";var Ni=500,Ht=40,Fn=48,Ze=class{constructor(e,t,o,i,r){this.room=e;this.latency=t;this.bots=o;this.botArea=i;this.toast=r;h("cut").addEventListener("click",()=>{
e.cut(),r("Connection cut. It comes back by itself.")}),h("kill").addEventListener("click",()=>{this.kill()});let s=h("bots");s.addEventListener("input",()=>this.
setBots(Number(s.value))),o.onReport=({connected:a,wanted:l,trouble:c})=>{h("bots-state").textContent=l===0?"":c||`${a} of ${l} connected`},e.on("outbox",()=>this.
isOpen&&this.renderOutbox()),e.on("status",()=>this.isOpen&&this.render())}room;latency;bots;botArea;toast;timer;asked=!1;roundTrip=NaN;get isOpen(){return this.
timer!==void 0}opened(){this.timer??=setInterval(()=>this.render(),Ni),this.latency.start(),this.render(),this.renderOutbox(),this.asked||this.askForControls(),
this.asked=!0}closed(){clearInterval(this.timer),this.timer=void 0,this.latency.stop()}showOutbox(){h("outbox").closest("section").scrollIntoView({block:"neares\
t"})}setBots(e){h("bots-count").textContent=String(e),h("bots").style.setProperty("--filled",`${e}%`),this.bots.set(e,this.botArea())}render(){let{room:e}=this;
L("hood-instance",X(e.instance)||"\u2013"),h("hood-instance").title=e.instance,L("kill",e.instance?`Kill ${X(e.instance)}`:"Kill this instance"),L("hood-seq",e.
seq.toLocaleString("en")),L("hood-epoch",e.epoch||"\u2013"),L("hood-status",e.status==="connected"&&e.sync!=="synchronized"?"catching up":e.status),L("hood-clie\
nt",e.client),L("hood-objects",e.objects.size.toLocaleString("en")),this.renderInstances();let{same:t,cross:o}=this.latency.summaries();Un("same",t),Un("cross",
o),L("hood-ping",Number.isNaN(this.roundTrip)?"\u2013":Nt(this.roundTrip)),e.status==="connected"?e.ping().then(i=>this.roundTrip=i,()=>this.roundTrip=NaN):this.
roundTrip=NaN}renderInstances(){let e=new Map;this.room.instance&&e.set(this.room.instance,1);for(let i of this.room.others){let{instance:r}=w(i);r&&e.set(r,(e.
get(r)??0)+1)}let t=Math.max(1,...e.values()),o=[...e].sort(([i],[r])=>i.localeCompare(r)).map(([i,r])=>{let s=i===this.room.instance,a=f("span",{class:"bar-fil\
l"});return a.style.width=`${Math.max(2,r/t*100)}%`,f("li",{class:s?"here":"",testid:"hood-instance-row",attrs:{"data-instance":i}},f("code",{text:X(i),title:i}),
f("span",{class:"bar-track"},a),f("span",{class:"num",text:String(r)}))});h("hood-instances").replaceChildren(...o)}renderOutbox(){let e=this.room.outbox;L("out\
box-count",String(e.length));let t=e.slice(0,Ht).map(o=>_i(o));e.length>Ht&&t.push(f("li",{class:"hint",text:`and ${e.length-Ht} more`})),h("outbox").replaceChildren(
...t)}async askForControls(){if(Di(location.hostname))try{let e=await fetch(pt("api/v1/demo"),{headers:{accept:"application/json"},signal:AbortSignal.timeout(Kn)}),
t=e.ok?await e.json():{};h("kill").hidden=t.controls!==!0&&t.kill!==!0}catch{this.asked=!1}}async kill(){let e=this.room.instance,t=X(e),o=this.room.status==="c\
onnected";try{let i=await fetch(pt(`api/v1/demo/kill?instance=${encodeURIComponent(e)}`),{method:"POST",signal:AbortSignal.timeout(Kn)});if(i.ok)return this.toast(
`${t} is gone. Keep drawing.`);let{message:r}=await i.json();this.toast(`${t} was not killed: ${typeof r=="string"?r:"the server refused"}`)}catch{await new Promise(
r=>setTimeout(r,Wi));let i=this.room.status==="connected"&&this.room.instance===e;this.toast(i||!o?`${t} was not killed: nothing answers`:`${t} is going. Keep d\
rawing.`)}}},Kn=5e3,Wi=500;function Di(n){return/^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/.test(n)}function _i(n){let e=n.objectId?`${n.type} ${n.objectId}`:
n.type,t=f("li",{class:"op",testid:"outbox-op",attrs:{"data-state":n.state}},f("code",{text:e,title:e}),f("span",{class:"op-state",text:n.state}));return n.state===
"failed"&&(t.title=n.error?.message??"",t.append(f("button",{class:"link",text:"Retry",testid:"outbox-retry",onclick:()=>n.retry()}),f("button",{class:"link",text:"\
Discard",testid:"outbox-discard",onclick:()=>{n.discard()}}))),t}var Nt=n=>Number.isFinite(n)?`${n<10?n.toFixed(1):Math.round(n)} ms`:"\u2013";function L(n,e){let t=h(
n);t.textContent!==e&&(t.textContent=e)}function Un(n,e){L(`latency-${n}-p50`,Nt(e.p50)),L(`latency-${n}-p95`,Nt(e.p95)),L(`latency-${n}-n`,e.n===0?"no one to a\
sk":`${e.n} samples`);let t=e.samples.slice(-Fn),o=Math.max(4,...t),i=t.map((r,s)=>`M${(Fn-t.length+s)*3+1} 24V${(24-Math.max(1,r/o*22)).toFixed(1)}`).join("");
h(`latency-${n}-chart`).firstElementChild.setAttribute("d",i||"M0 24")}var Gi=4;function Je(n,e,t,o){let{shape:i}=e;n.translate(i.x,i.y),i.kind==="note"?Ki(n,i):i.kind==="image"?Fi(n,i,t):i.kind!=="text"&&ji(n,e),i.text&&!o&&i.kind!==
"image"&&Ui(n,e,t),n.translate(-i.x,-i.y)}function ji(n,e){let{shape:t}=e,o=e.path??=qi(t),i=G(t.color);(t.kind==="rect"||t.kind==="ellipse")&&t.fill!=="none"&&
(n.fillStyle=t.fill==="solid"?i.line:i.tint,n.fill(o)),n.strokeStyle=i.line,n.lineWidth=t.stroke,n.lineJoin="round",n.lineCap="round",n.stroke(o)}function Fi(n,e,t){
let{w:o,h:i,src:r}=e,s=O.get(r),{line:a,tint:l}=G("ink");s?n.drawImage(s,0,0,o,i):(n.fillStyle=l,n.fillRect(0,0,o,i),n.strokeStyle=a,n.lineWidth=1/t,n.strokeRect(
0,0,o,i));let c=O.progress(r);if(c===void 0)return;let d=Math.min(i,6/t);n.fillStyle="rgba(255, 255, 255, 0.7)",n.fillRect(0,i-d,o,d),n.fillStyle=a,n.fillRect(0,
i-d,o*c,d)}function Ki(n,e){n.fillStyle="rgba(20, 18, 12, 0.05)",Ye(n,-1,1,e.w+2,e.h+5,5),n.fillStyle="rgba(20, 18, 12, 0.10)",Ye(n,0,1,e.w,e.h+1.5,4),n.fillStyle=
G(e.color).paper,Ye(n,0,0,e.w,e.h,4)}function Ee(n){let e=G(n.color);return n.kind==="note"?e.onPaper:n.fill==="solid"&&n.kind!=="text"?pe(e.line):e.line}function Ui(n,e,t){
let{shape:o}=e;if(!P(o.kind))return;let{box:i,lines:r,size:s,top:a,centred:l,from:c,total:d}=Z(e),m=s*R;if(n.fillStyle=Ee(o),s*t<Gi)return Xi(n,r.length,m,i.x,a,
i.w);n.font=Tt(s),n.textBaseline="alphabetic",n.textAlign=l?"center":"left";let p=l?i.x+i.w/2:i.x;r.forEach((M,V)=>n.fillText(M,p,a+V*m+s)),n.textAlign="left",d>
r.length&&Vi(n,e,c/d,r.length/d)}function Vi(n,{shape:e},t,o){let i=e.h-12;n.globalAlpha=.4,Ye(n,e.w-7,6+t*i,3,Math.max(8,o*i),1.5),n.globalAlpha=1}function Xi(n,e,t,o,i,r){
n.globalAlpha=.35;for(let s=0;s<e;s++)n.fillRect(o,i+s*t+t*.35,r,t*.35);n.globalAlpha=1}function Ye(n,e,t,o,i,r){n.beginPath(),n.roundRect(e,t,o,i,Math.min(r,o/
2,i/2)),n.fill()}function qi(n){let e=new Path2D,{w:t,h:o}=n;return x(n.kind)?(e.moveTo(0,0),e.lineTo(t,o),(n.kind==="arrow"?He(n):[]).forEach(({x:r,y:s},a)=>a===
0?e.moveTo(r,s):e.lineTo(r,s))):n.kind==="ellipse"?e.ellipse(t/2,o/2,t/2,o/2,0,0,2*Math.PI):n.kind==="draw"?Zi(e,n):e.roundRect(0,0,t,o,Math.min(8,t/4,o/4)),e}function Zi(n,e){
let{points:t}=e,o=_(t),i=o.w>0?e.w/o.w:1,r=o.h>0?e.h/o.h:1,s=c=>(t[2*c]??0)*i,a=c=>(t[2*c+1]??0)*r,l=t.length>>1;n.moveTo(s(0),a(0)),l<2&&n.lineTo(s(0)+.01,a(0));
for(let c=1;c<l-1;c++)n.quadraticCurveTo(s(c),a(c),(s(c)+s(c+1))/2,(a(c)+a(c+1))/2);l>=2&&n.lineTo(s(l-1),a(l-1))}var Yi=/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu,Vn=n=>n.replace(Yi,"").replaceAll("&","&amp;").replaceAll("<","&lt;").replaceAll(">","&gt;").
replaceAll('"',"&quot;"),j=n=>String(u(n)),B=(n,e,t)=>{let o=Object.entries(e).map(([i,r])=>` ${i}="${Vn(typeof r=="number"?j(r):r)}"`).join("");return t===void 0?
`<${n}${o}/>`:`<${n}${o}>${t}</${n}>`};function Xn(n,e,t,o=new Map){let i={width:Math.ceil(e.w),height:Math.ceil(e.h),viewBox:[e.x,e.y,e.w,e.h].map(j).join(" ")},
r=B("rect",{x:e.x,y:e.y,width:e.w,height:e.h,fill:t}),s=n.map(a=>{let{x:l,y:c}=a.shape;return B("g",{transform:`translate(${j(l)} ${j(c)})`},Ji(a.shape,o)+er(a))});
return`<?xml version="1.0" encoding="UTF-8"?>
${B("svg",{xmlns:"http://www.w3.org/2000/svg",...i},`
${r}
${s.join(`
`)}
`)}
`}function Ji(n,e){let{kind:t,w:o,h:i,stroke:r}=n,s=G(n.color),a={stroke:s.line,"stroke-width":r,"stroke-linecap":"round","stroke-linejoin":"round"},l={...a,fill:n.
fill==="none"?"none":n.fill==="solid"?s.line:s.tint};if(t==="image"){let d=e.get(n.src);return d===void 0?"":B("image",{width:o,height:i,preserveAspectRatio:"no\
ne",href:d})}if(t==="rect")return B("rect",{width:o,height:i,rx:Math.min(8,o/4,i/4),...l});if(t==="ellipse")return B("ellipse",{cx:o/2,cy:i/2,rx:o/2,ry:i/2,...l});
if(t==="note")return B("rect",{width:o,height:i,rx:4,fill:s.paper});if(t==="draw")return B("path",{d:Qi(n),fill:"none",...a});if(!x(t))return"";let c=t==="arrow"?
He(n).map(({x:d,y:m},p)=>`${p===0?"M":"L"}${j(d)} ${j(m)}`).join(""):"";return B("path",{d:`M0 0L${j(o)} ${j(i)}${c}`,fill:"none",...a})}function Qi(n){let{points:e}=n,
t=_(e),[o,i]=[t.w>0?n.w/t.w:1,t.h>0?n.h/t.h:1],r=c=>[(e[2*c]??0)*o,(e[2*c+1]??0)*i],s=e.length>>1,a=(...c)=>c.map(j).join(" "),l=`M${a(...r(0))}`;if(s<2)return`${l}\
l0.1 0`;for(let c=1;c<s-1;c++){let[[d,m],[p,M]]=[r(c),r(c+1)];l+=`Q${a(d,m,(d+p)/2,(m+M)/2)}`}return`${l}L${a(...r(s-1))}`}function er(n){let{shape:e}=n;if(!e.text||
!P(e.kind))return"";let{box:t,lines:o,size:i,top:r,centred:s}=Z(n),a=s?t.x+t.w/2:t.x,l=o.map((d,m)=>B("tspan",{x:a,y:r+m*i*R+i},Vn(d))),c={"font-family":we,"fon\
t-size":i,fill:Ee(e),"xml:space":"preserve"};return B("text",s?{...c,"text-anchor":"middle"}:c,l.join(""))}var tr="(prefers-color-scheme: dark)",nr,Dt=()=>nr??=matchMedia(tr);function qn(){let n=Q.get("theme");return n?n==="dark":Dt().matches}function Zn(n){Wt(),Dt().
addEventListener("change",()=>{Wt(),n()})}function Yn(){let n=!qn();return Q.set("theme",n===Dt().matches?void 0:n?"dark":"light"),Wt(),n}function Wt(){let n=qn();
document.documentElement.dataset.theme=n?"dark":"light",nn(n)}var le=n=>getComputedStyle(document.documentElement).getPropertyValue(n).trim();var or=24,ir=2,Jn=8e3,rr=32e6;function sr(n){let e=n.selection.size>0,t=n.scene.order().filter(({shape:i})=>n.scene.settled(i.id)&&(!e||n.selection.has(i.id))),
o=Yt(t.map(i=>i.painted));return o&&{items:t,box:S(o,or)}}function ar({items:n,box:e}){let t=Math.min(ir,Jn/e.w,Jn/e.h,Math.sqrt(rr/(e.w*e.h))),o=document.createElement(
"canvas");o.width=Math.max(1,Math.floor(e.w*t)),o.height=Math.max(1,Math.floor(e.h*t));let i=o.getContext("2d");i.fillStyle=le("--paper"),i.fillRect(0,0,o.width,
o.height),i.setTransform(t,0,0,t,-e.x*t,-e.y*t);for(let r of n)Je(i,r,t,!1);return new Promise(r=>o.toBlob(r,"image/png"))}function eo(n){return n===0?"":`, wit\
hout ${$(n,"picture")} that could not be loaded`}function Qn(n,e,t,o){let i=document.createElement("a");i.href=URL.createObjectURL(e),i.download=`${n.canvas}.${t}`,
i.click(),setTimeout(()=>URL.revokeObjectURL(i.href),1e4),n.toast(`Saved as ${i.download}${eo(o)}`)}async function lr(n,e){let t=sr(n);if(!t)return n.toast("The\
re is nothing to save yet");let o=t.items.map(({shape:s})=>s.src).filter(s=>s!=="");if(e==="svg"){let{all:s,missing:a}=await O.embedded(o),l=Xn(t.items,t.box,le(
"--paper"),s);return Qn(n,new Blob([l],{type:"image/svg+xml"}),"svg",a)}let i=0,r=O.loaded(o).then(s=>(i=s,ar(t))).then(s=>s??Promise.reject(new Error("the brow\
ser has no room for a picture of that size")));try{if(e==="png")return Qn(n,await r,"png",i);await navigator.clipboard.write([new ClipboardItem({"image/png":r})]),
n.toast(`Picture copied${eo(i)}`)}catch(s){n.toast(`No picture: ${s instanceof Error?s.message:String(s)}`)}}function to(n){for(let e of["png","svg","copy"])h(`\
export-${e}`).addEventListener("click",()=>{h("export-menu").hidePopover(),lr(n,e)});h("export-menu").addEventListener("toggle",()=>{h("export-what").textContent=
n.selection.size>0?"What is selected":"The whole canvas"})}var cr=.18,Qe=class{constructor(e,t,o){this.room=e;this.camera=t;this.announce=o;h("follow-stop").addEventListener("click",()=>this.stop()),e.on("others",()=>{this.
client&&!e.others.some(i=>i.client===this.client)&&this.stop()})}room;camera;announce;client;onChange=()=>{};lastFrame=0;toggle(e){if(this.client===e)return this.
stop();let t=this.room.others.find(i=>i.client===e);if(!t)return;this.client=e;let o=h("follow-banner");o.hidden=!1,N(o,T(t)),h("follow-name").textContent=`Foll\
owing ${b(t)}`,this.announce(`Following ${b(t)}. Press Escape to stop.`),this.onChange()}stop(){this.client&&(this.client=void 0,h("follow-banner").hidden=!0,this.
announce("Stopped following"),this.onChange())}frame(e){let t=this.client&&this.room.others.find(p=>p.client===this.client);if(!t)return!1;let o=this.target(w(t).
view),i=Math.min(4,Math.max(.5,(e-this.lastFrame)/16.7));if(this.lastFrame=e,!o)return!0;let{camera:r}=this,s=1-(1-cr)**i,a=r.toWorld({x:r.width/2,y:r.height/2}),
l=r.zoom*(o.zoom/r.zoom)**s,c=a.x+(o.x-a.x)*s,d=a.y+(o.y-a.y)*s;return Math.hypot(c-a.x,d-a.y)*l<.2&&Math.abs(l/r.zoom-1)<.001||r.moveTo({x:c,y:d},l),!0}target(e){
let{camera:t}=this;if(e)return{x:e.x,y:e.y,zoom:Math.min(t.width/e.w,t.height/e.h)};let o=this.room.cursors.at(this.client);return o&&{x:o.x,y:o.y,zoom:t.zoom}}};var et=class{constructor(e,t){this.room=e;this.mayWrite=t;e.on("history",()=>this.onChange())}room;mayWrite;onChange=()=>{};get canUndo(){return this.room.canUndo}get canRedo(){
return this.room.canRedo}begin(e,t){this.room.history.begin({label:e,...t!==void 0&&{mergeKey:t}})}commit(){this.room.history.end()}group(e,t,o){this.begin(e,o),
this.room.batch(t),this.commit()}createAll(e,t){this.begin(e);for(let o=0;o<t.length;o+=250)this.room.batch(()=>t.slice(o,o+250).forEach(i=>this.create(i)));this.
commit()}create(e){this.mayWrite()&&this.room.objects.create(e)}update(e,t){this.room.objects.has(e)&&this.mayWrite()&&this.room.objects.update(e,t)}remove(e){this.
room.objects.has(e)&&this.mayWrite()&&this.room.objects.delete(e)}undo(){return this.mayWrite()?this.room.undo():void 0}redo(){return this.mayWrite()?this.room.
redo():void 0}};var oo=["Amber","Brisk","Calm","Clever","Gentle","Happy","Keen","Lively","Mellow","Nimble","Quiet","Sunny"],io=["Otter","Heron","Lynx","Finch","Badger","Panda",
"Falcon","Marten","Robin","Tapir","Wren","Ibex"],Te=n=>n[Math.floor(Math.random()*n.length)],no=()=>`${Te(oo)} ${Te(io)}`;function ro(){try{let e=JSON.parse(Q.get(
"profile")??"null");if(e&&typeof e.name=="string"&&typeof e.color=="string")return{name:F(e.name)??no(),color:q(e.color,e.name),chosen:e.chosen===!0}}catch{}let n={
name:no(),color:Te(E),chosen:!1};return _t(n),n}function _t(n){Q.set("profile",JSON.stringify(n))}var dr=/^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;function so(){let n=ee().
pathname,e=location.pathname.startsWith(n)?location.pathname.slice(n.length):"",t=/^c\/([^/]+)\/?$/.exec(e)?.[1],o=hr(t??location.hash.slice(1)),i=dr.test(o)?o:
ur(),r=`${n}c/${encodeURIComponent(i)}${location.search}`;return location.pathname+location.search+location.hash!==r&&history.replaceState(null,"",r),{canvas:i,
refused:o!==""&&i!==o?o:void 0}}function hr(n){try{return decodeURIComponent(n)}catch{return n}}function ur(){let n=Array.from(crypto.getRandomValues(new Uint8Array(
5)),e=>(e%36).toString(36)).join("");return`${Te(oo)}-${Te(io)}-${n}`.toLowerCase()}var ao=()=>new URLSearchParams(location.search).get("token")??void 0;var fr=2500,tt=class{constructor(e){this.app=e}app;heard=new Map;timer;heardOf(e,t,o){if(e==="")return;let i=t==="create"?"added":t==="delete"?"deleted":"change\
d",r=this.heard.get(e)??new Map;this.heard.set(e,r),r.set(i,(r.get(i)??new Set).add(o)),this.timer??=setTimeout(()=>this.say(),fr)}say(){this.timer=void 0;let{room:e}=this.
app,t=[...this.heard].slice(0,3).map(([i,r])=>{let s=e.others.find(a=>a.client===i);return s&&w(s).bot?"":`${s?b(s):"Somebody"} ${[...r].map(([a,l])=>this.phrase(
a,l)).join(", ")}`});this.heard.clear();let o=t.filter(Boolean).join(". ");o&&this.app.announce(o)}phrase(e,t){let[o]=t,i=t.size===1?this.app.scene.get(o):void 0;
return`${e} ${i?re(i):$(t.size,"object")}`}};var mr=[{sx:-1,sy:-1},{sx:1,sy:-1},{sx:1,sy:1},{sx:-1,sy:1},{sx:0,sy:-1},{sx:1,sy:0},{sx:0,sy:1},{sx:-1,sy:0}],Gt=5,pr=56,nt=class{constructor(e,t,o,i){this.canvas=
e;this.scene=t;this.camera=o;this.selection=i;this.ctx=e.getContext("2d")}canvas;scene;camera;selection;outlines=[];gesture;accent="#0d7d70";surface="#ffffff";showHandles=!0;ctx;dpr=1;painted;signature(){
let{camera:e,selection:t,gesture:o}=this,i=a=>[...a].map(l=>{let c=this.scene.get(l);return c&&[c.kind,c.x,c.y,c.w,c.h]}),r=o?.holder===void 0?[]:i([o.holder]),
s=this.outlines.map(({ids:a,color:l,name:c})=>[l,c,i(a)]);return JSON.stringify([e.x,e.y,e.zoom,this.accent,this.surface,this.showHandles,o?.marquee,r,s,i(t.ids)])}resize(){
this.painted=void 0,this.dpr=window.devicePixelRatio||1,this.canvas.width=Math.round(this.camera.width*this.dpr),this.canvas.height=Math.round(this.camera.height*
this.dpr)}frame(){let{ctx:e}=this,t=this.signature();if(t===this.painted)return;this.painted=t,e.setTransform(this.dpr,0,0,this.dpr,0,0),e.clearRect(0,0,this.camera.
width,this.camera.height);for(let i of this.outlines)this.paintOutline(i);this.paintSelection(),this.paintHolder(this.gesture?.holder);let o=this.gesture?.marquee;
o&&this.paintMarquee(o)}paintHolder(e){let t=e===void 0?void 0:this.scene.get(e);if(!t)return;let{ctx:o}=this,i=this.toScreen(k(t),Gt);o.strokeStyle=this.accent,
o.lineWidth=3,o.globalAlpha=.6,o.beginPath(),o.roundRect(i.x,i.y,i.w,i.h,6),o.stroke(),o.globalAlpha=1}toScreen(e,t){let{zoom:o}=this.camera,i=this.camera.toScreen(
e);return S({x:i.x,y:i.y,w:e.w*o,h:e.h*o},t)}paintOutline(e){let{ctx:t}=this;t.strokeStyle=e.color,t.lineWidth=1.5;let o=!1;for(let i of e.ids){let r=this.scene.
get(i);if(!r)continue;let s=this.toScreen(k(r),Gt-1);t.beginPath(),t.roundRect(s.x,s.y,s.w,s.h,3),t.stroke(),o||this.paintLabel(e,s),o=!0}}paintLabel(e,t){let{ctx:o}=this;
o.font="600 11px ui-sans-serif, system-ui, sans-serif";let i=o.measureText(e.name).width+12;o.fillStyle=e.color,o.beginPath(),o.roundRect(t.x-.75,t.y-18,i,16,4),
o.fill(),o.fillStyle="#fff",o.textBaseline="middle",o.fillText(e.name,t.x+5.25,t.y-9.5)}paintSelection(){let{ctx:e,selection:t,scene:o}=this;if(t.size===0)return;
if(e.strokeStyle=this.accent,e.lineWidth=1.5,t.size>1){e.globalAlpha=.55;for(let r of t.ids){let s=o.get(r);if(!s)continue;let a=this.toScreen(k(s),2);e.strokeRect(
a.x,a.y,a.w,a.h)}e.globalAlpha=1}let i=this.frameBox();if(i&&!this.singleLine()&&e.strokeRect(i.x,i.y,i.w,i.h),!!this.showHandles)for(let{at:r}of this.handles())
this.paintHandle(r)}paintHandle(e){let{ctx:t}=this;t.fillStyle=this.surface,t.strokeStyle=this.accent,t.lineWidth=1.5,t.beginPath(),t.roundRect(e.x-4.5,e.y-4.5,
9,9,2.5),t.fill(),t.stroke()}paintMarquee(e){let{ctx:t}=this,o=this.toScreen(e,0);t.fillStyle=this.accent,t.globalAlpha=.08,t.fillRect(o.x,o.y,o.w,o.h),t.globalAlpha=
1,t.strokeStyle=this.accent,t.lineWidth=1,t.strokeRect(o.x+.5,o.y+.5,o.w,o.h)}singleLine(){if(this.selection.size!==1)return;let e=this.scene.get([...this.selection.
ids][0]);return e&&x(e.kind)?e:void 0}frameBox(){let e=this.scene.bounds(this.selection.ids);return e&&this.toScreen(e,Gt)}handles(){let e=this.singleLine();if(e)
return[{handle:{sx:0,sy:0,end:0},at:this.camera.toScreen(e)},{handle:{sx:0,sy:0,end:1},at:this.camera.toScreen({x:e.x+e.w,y:e.y+e.h})}];let t=this.frameBox();if(!t)
return[];let o=[...this.selection.ids].filter(r=>this.scene.get(r)?.kind==="text").length;return mr.filter(({sx:r,sy:s})=>r!==0&&s!==0?!0:o>0?s===0&&this.selection.
size===1:(r===0?t.w:t.h)>=pr).map(r=>({handle:r,at:{x:t.x+t.w*(r.sx+1)/2,y:t.y+t.h*(r.sy+1)/2}}))}handleAt(e,t){if(!this.showHandles)return;let o=t?22:10,i;for(let{
handle:r,at:s}of this.handles()){let a=Math.hypot(e.x-s.x,e.y-s.y);a<=o&&(!i||a<i.d)&&(i={handle:r,d:a})}return i?.handle}};function lo(n){return n.end!==void 0?
"move":n.sx===0?"ns-resize":n.sy===0?"ew-resize":n.sx===n.sy?"nwse-resize":"nesw-resize"}var co={greater:1500,smaller:6e3};function gr(n,e,t){let o=new Map(E.map(a=>[a,0]));for(let a of e){let l=T(a);o.set(l,(o.get(l)??0)+(w(a).bot?.001:1))}let i=o.
get(n)??0,r=Math.min(...E.map(a=>o.get(a)));return i===0||r>=i?void 0:E.map((a,l)=>E[(l+t)%E.length]).find(a=>o.get(a)===r)}function ho(n,e,t){let o=!1,i,r=()=>{
i=void 0;let{color:a,chosen:l}=e();if(l||n.status!=="connected")return;let c=gr(a,n.others,[...n.client].reduce((d,m)=>d+m.charCodeAt(0),0));c&&t(c)},s=()=>{if(!o||
i!==void 0||e().chosen)return;let a=n.others.filter(c=>T(c)===e().color);if(a.length===0)return;let l=a.some(c=>c.client>n.client)?co.smaller:co.greater;i=setTimeout(
r,l)};n.on("others",s),n.whenSynced().then(()=>{o=!0,r(),s()},()=>{})}var ce=class n{static all=[];static onChange=()=>{};onOpen=()=>{};onClose=()=>{};panel;button;constructor(e,t,o){this.panel=h(e),this.button=h(t),this.button.setAttribute(
"aria-controls",e),this.button.addEventListener("click",()=>this.toggle()),h(o).addEventListener("click",()=>this.close()),this.panel.addEventListener("keydown",
i=>{i.key!=="Escape"||D(i)||(i.stopPropagation(),this.close())}),this.sync(),n.all.push(this)}get isOpen(){return!this.panel.hidden}toggle(){this.isOpen?this.close():
this.open()}open(){if(matchMedia("(max-width: 900px)").matches)for(let e of n.all)e!==this&&e.close();this.panel.hidden=!1,this.sync(),this.onOpen(),n.onChange()}close(){
if(!this.isOpen)return;let e=this.panel.contains(document.activeElement);this.panel.hidden=!0,this.sync(),this.onClose(),n.onChange(),e&&this.button.focus()}sync(){
this.button.setAttribute("aria-expanded",String(this.isOpen)),this.button.setAttribute("aria-pressed",String(this.isOpen)),document.documentElement.toggleAttribute(
`data-open-${this.panel.id}`,this.isOpen)}};function fo(n,e,t){let o=h("me"),i=h("profile-name"),r=()=>{let l=F(n.user.name)??e.name,c=q(n.user.color,n.client);
o.textContent=$e(l),N(o,c),o.setAttribute("aria-label",`You are ${l}. Change name and colour`);for(let d of h("profile-colors").querySelectorAll("button"))d.setAttribute(
"aria-pressed",String(d.dataset.value===c))},s=l=>{Object.assign(e,l),_t(e),a()},a=()=>{n.setUser({name:e.name,color:e.color}),r(),t()};E.forEach((l,c)=>{let d=f(
"button",{class:"choice swatch",testid:`profile-color-${c}`,attrs:{"data-value":l,"aria-label":`Colour ${c+1}`},onclick:()=>s({color:l,chosen:!0})});d.style.setProperty(
"--swatch",l),h("profile-colors").append(d)}),i.value=e.name,i.addEventListener("change",()=>{let l=F(i.value);l?s({name:l}):i.value=e.name}),i.addEventListener(
"keydown",l=>{l.key==="Enter"&&!D(l)&&h("profile").hidePopover()}),n.on("status",r),r(),ho(n,()=>({color:q(n.user.color,n.client),chosen:e.chosen}),l=>{e.color=
l,a()})}function mo(){let n=h("help");h("help-close").addEventListener("click",()=>n.close()),n.addEventListener("click",t=>t.target===n&&n.close());let e=()=>{
n.open||n.showModal()};return h("help-button").addEventListener("click",e),e}var uo;function po(n){let e=h("toast");e.textContent=n,e.dataset.shown="true",clearTimeout(
uo),uo=setTimeout(()=>e.dataset.shown="false",Math.max(2600,60*n.length))}function go(){let n=[h("live-a"),h("live-b")],e=0;return t=>{e=1-e,n[e].textContent=t,
n[1-e].textContent=""}}async function yo(n){let e=location.origin+location.pathname;try{await navigator.clipboard.writeText(e),n("Link copied. Whoever opens it \
draws along.")}catch{let t=h("share-link");t.value=e,h("share-fallback").showPopover(),t.select()}}var yr=12,xr=600,vr=250,wr=120,ot=class{constructor(e,t,o,i){this.canvas=e;this.scene=t;this.camera=o;this.invalidate=i;this.ctx=e.getContext("2d")}canvas;scene;camera;invalidate;editing;ctx;dpr=1;painted;sharpAt=0;stretched;copy=document.
createElement("canvas");timer;resize(){this.dpr=Math.min(window.devicePixelRatio||1,2),this.canvas.width=Math.round(this.camera.width*this.dpr),this.canvas.height=
Math.round(this.camera.height*this.dpr),this.painted=this.stretched=void 0}repaintAll(){this.painted=this.stretched=void 0}frame(e){let{scene:t,camera:o,canvas:i}=this,
r=t.takeDirty(),s=o.zoom*this.dpr,a={x:Math.round(o.x*s)/s,y:Math.round(o.y*s)/s,zoom:o.zoom},l=this.painted;if(this.painted=a,l&&(this.stretched||l.zoom!==a.zoom)&&
t.size>xr&&e-this.sharpAt<vr)return this.stretch(l,a);if(!l||this.stretched||l.zoom!==a.zoom)return this.paintSharp(a,e);let c=Math.round((l.x-a.x)*s),d=Math.round(
(l.y-a.y)*s);if(Math.abs(c)>=i.width||Math.abs(d)>=i.height)return this.paintBox(a,this.viewOf(a));(c!==0||d!==0)&&this.shift(a,c,d);for(let m of br(r,this.viewOf(
a)))this.paintBox(a,m)}viewOf(e){let t=e.zoom*this.dpr;return{x:e.x,y:e.y,w:this.canvas.width/t,h:this.canvas.height/t}}paintSharp(e,t){clearTimeout(this.timer),
this.stretched=void 0,this.sharpAt=t,this.paintBox(e,this.viewOf(e))}stretch(e,t){let{ctx:o,canvas:i,copy:r}=this;this.stretched||(this.stretched=e,r.width=i.width,
r.height=i.height,r.getContext("2d").drawImage(i,0,0));let s=t.zoom*this.dpr,a=t.zoom/this.stretched.zoom;o.setTransform(1,0,0,1,0,0),o.clearRect(0,0,i.width,i.
height);let[l,c]=[(this.stretched.x-t.x)*s,(this.stretched.y-t.y)*s];o.drawImage(r,l,c,i.width*a,i.height*a),clearTimeout(this.timer),this.timer=setTimeout(()=>{
this.sharpAt=0,this.invalidate()},wr)}shift(e,t,o){let{ctx:i,canvas:r}=this;i.setTransform(1,0,0,1,0,0),i.globalCompositeOperation="copy",i.drawImage(r,t,o),i.globalCompositeOperation=
"source-over";let s=this.viewOf(e),a=e.zoom*this.dpr,l=Math.abs(t)/a,c=Math.abs(o)/a;t!==0&&this.paintBox(e,{...s,x:t>0?s.x:s.x+s.w-l,w:l}),o!==0&&this.paintBox(
e,{...s,y:o>0?s.y:s.y+s.h-c,h:c})}paintBox(e,t){let{ctx:o}=this,i=e.zoom*this.dpr,r=Math.floor((t.x-e.x)*i),s=Math.floor((t.y-e.y)*i),a=Math.ceil((t.x+t.w-e.x)*
i),l=Math.ceil((t.y+t.h-e.y)*i);o.setTransform(1,0,0,1,0,0),o.save(),o.beginPath(),o.rect(r,s,a-r,l-s),o.clip(),o.clearRect(r,s,a-r,l-s),o.setTransform(i,0,0,i,
-e.x*i,-e.y*i);let c=S(t,1/i);for(let d of this.scene.order())ne(d.painted,c)&&Je(o,d,e.zoom,d.shape.id===this.editing);o.restore()}};function br(n,e){let t=[];
for(let o of n){if(!ne(o,e))continue;let i=t.findIndex(r=>ne(r,o));i>=0?t[i]=te(t[i],o):t.push(o),t.length>yr&&t.splice(0,t.length,t.reduce(te))}return t}var it=class{origin="made";onChange=()=>{};set_=new Set;get ids(){return this.set_}get size(){return this.set_.size}has(e){return this.set_.has(e)}set(e,t="made"){
this.origin=t;let o=new Set(e);o.size===this.set_.size&&[...o].every(i=>this.set_.has(i))||(this.set_=o,this.onChange())}toggle(e){let t=new Set(this.set_);t.delete(
e)||t.add(e),this.set(t,"pointer")}clear(){this.set([])}drop(e){this.set_.delete(e)&&this.onChange()}};var jt=[{name:"select",label:"Select",key:"V"},{name:"hand",label:"Hand: move the view",key:"H"},{name:"rect",label:"Rectangle",key:"R"},{name:"ellipse",label:"\
Ellipse",key:"O"},{name:"line",label:"Line",key:"L"},{name:"arrow",label:"Arrow: stays attached",key:"A"},{name:"draw",label:"Pencil",key:"P"},{name:"note",label:"\
Sticky note",key:"N"},{name:"text",label:"Text",key:"T"}],kr=[{value:"none",label:"No fill"},{value:"tint",label:"Light fill"},{value:"solid",label:"Solid fill"}],
Mr=[{value:2,label:"Thin"},{value:4,label:"Medium"},{value:8,label:"Thick"}];function xo(n){let e=h("toolbar");for(let{name:t,label:o,key:i}of jt)e.append(f("bu\
tton",{class:"tool",title:`${o} (${i})`,testid:`tool-${t}`,attrs:{"data-tool":t,"aria-label":o,"aria-keyshortcuts":i,"aria-pressed":"false"},onclick:()=>n.setTool(
t)},H(t)));vo(e)}function vo(n){n.addEventListener("keydown",e=>{let t=e.key==="ArrowRight"?1:e.key==="ArrowLeft"?-1:0,o=[...n.querySelectorAll("button")].filter(
r=>r.offsetParent!==null),i=o.indexOf(e.target);t===0||i<0||(e.preventDefault(),o[(i+t+o.length)%o.length]?.focus())})}function wo(n){for(let e of h("toolbar").
querySelectorAll("[data-tool]"))e.setAttribute("aria-pressed",String(e.dataset.tool===n))}var rt=class{constructor(e){this.app=e;this.swatches=en.map(t=>this.choice(
"swatch",t,t,()=>je(e,{color:t}))),this.fills=kr.map(({value:t,label:o})=>this.choice("fill",t,o,()=>je(e,{fill:t}),H(`fill-${t}`))),this.strokes=Mr.map(({value:t,
label:o})=>this.choice("stroke",String(t),o,()=>je(e,{stroke:t}),f("span",{class:"weight"}))),h("style-colors").append(...this.swatches),h("style-fills").append(
...this.fills),h("style-strokes").append(...this.strokes),h("style-actions").append(this.action("front","Bring to front (])",()=>Me(e,"front")),this.action("bac\
k","Send to back ([)",()=>Me(e,"back")),this.action("copy","Duplicate (Ctrl+D)",()=>Fe(e)),this.action("trash","Delete (Del)",()=>se(e))),this.recolor(),vo(this.
bar)}app;bar=h("stylebar");swatches;fills;strokes;recolor(){for(let e of this.swatches)e.style.setProperty("--swatch",G(e.dataset.value).line)}update(){let{app:e}=this,
t=[...e.selection.ids].map(a=>e.scene.get(a)).filter(a=>a!==void 0),o=new Set(t.length>0?t.map(a=>a.kind):[e.tool]),i=e.tool!=="select"&&e.tool!=="hand";this.bar.
hidden=t.length===0&&!i;let r=(...a)=>a.some(l=>o.has(l));h("style-colors").hidden=o.size===1&&r("image"),h("style-fills").hidden=!r("rect","ellipse"),h("style-\
strokes").hidden=!r("rect","ellipse","line","arrow","draw"),h("style-actions").hidden=t.length===0;let s=t[0];this.press(this.swatches,s?s.color:e.style.color),
this.press(this.fills,s?s.fill:e.style.fill),this.press(this.strokes,String(s?s.stroke:e.style.stroke))}press(e,t){for(let o of e)o.setAttribute("aria-pressed",
String(o.dataset.value===t))}choice(e,t,o,i,r){return f("button",{class:`choice ${e}`,title:o[0].toUpperCase()+o.slice(1),testid:`${e}-${t}`,attrs:{"data-value":t,
"aria-label":o,"aria-pressed":"false"},onclick:()=>{i(),this.update()}},r)}action(e,t,o){return f("button",{class:"choice",title:t,testid:`action-${e}`,attrs:{"\
aria-label":t},onclick:o},H(e))}};var bo=typeof navigator<"u"&&/Mac|iP/.test(navigator.platform),U=bo?"\u2318":"Ctrl",C=n=>(e,t)=>!t&&!e.altKey&&de(e)===n,Ae=(n,e=!1)=>(t,o)=>o&&!t.altKey&&t.shiftKey===
e&&de(t)===n;function Sr(n,e){let{camera:t}=n,o=(a,l)=>!l&&!a.altKey&&a.key.startsWith("Arrow"),i=(a,l)=>(l||a.altKey)&&a.key.startsWith("Arrow"),s={match:()=>!1,
run:()=>{}};return[...jt.map(({name:a,label:l,key:c})=>({group:"Tools",label:l,keys:[c],match:C(c.toLowerCase()),run:()=>n.setTool(a)})),{group:"Tools",label:"I\
nsert in the middle, or edit text",keys:["Enter"],match:C("enter"),run:()=>Or(n)},{group:"Edit",label:"Undo",keys:[U,"Z"],match:Ae("z"),run:e.undo},{group:"Edit",
label:"Redo",keys:[U,"Shift","Z"],match:(a,l)=>Ae("z",!0)(a,l)||Ae("y")(a,l),run:e.redo},{group:"Edit",label:"Delete",keys:["Del"],match:(a,l)=>C("delete")(a,l)||
C("backspace")(a,l),run:()=>se(n)},{group:"Edit",label:"Duplicate",keys:[U,"D"],match:Ae("d"),run:()=>Fe(n)},{group:"Edit",label:"Copy",keys:[U,"C"],...s},{group:"\
Edit",label:"Cut",keys:[U,"X"],...s},{group:"Edit",label:"Paste",keys:[U,"V"],...s},{group:"Edit",label:"Select all",keys:[U,"A"],match:Ae("a"),run:()=>n.selection.
set(n.scene.ids(),"keyboard")},{group:"Edit",label:"Next or previous object",keys:[".",","],match:(a,l)=>C(".")(a,l)||C(",")(a,l),run:a=>Tn(n,de(a)==="."?1:-1)},
{group:"Edit",label:"Move selection (Shift: 10)",keys:["\u2190","\u2191","\u2193","\u2192"],match:o,run:a=>Rr(n,a)},{group:"Edit",label:"Resize selection (Shift\
: 10)",keys:["Alt","\u2190","\u2192"],match:i,run:a=>Cr(n,a)},{group:"Edit",label:"Bring to front, send to back",keys:["]","["],match:(a,l)=>C("]")(a,l)||C("[")(
a,l),run:a=>Me(n,de(a)==="]"?"front":"back")},{group:"View",label:"Move the view",keys:["Space","drag"],...s},{group:"View",label:"Zoom",keys:[U,"wheel"],...s},
{group:"View",label:"Zoom in, out",keys:["+","-"],match:a=>["+","=","-"].includes(de(a)),run:a=>e.zoomTo(t.zoom*(a.key==="-"?.8:1.25))},{group:"View",label:"Zoo\
m to 100%",keys:["0"],match:a=>de(a)==="0",run:()=>e.zoomTo(1)},{group:"View",label:"Show everything",keys:["1"],match:C("1"),run:e.fitAll},{group:"Page",label:"\
Chat",keys:["C"],match:C("c"),run:e.toggleChat},{group:"Page",label:"Under the hood",keys:["U"],match:C("u"),run:e.toggleDrawer},{group:"Page",label:"Dark or li\
ght",keys:["D"],match:C("d"),run:e.toggleTheme},{group:"Page",label:"Shortcuts",keys:["?"],match:a=>a.key==="?",run:e.help},{group:"Page",label:"Cancel, deselec\
t, stop following",keys:["Esc"],match:C("escape"),run:e.escape}]}function ko(n,e,t){let o=Sr(n,e);Lr(o);let i=new Ft(n);document.addEventListener("keydown",r=>{
let s=r.target;if(r.defaultPrevented||Pr(s)||document.querySelector("dialog[open]"))return;if(D(r))return void i.compose();if(s.closest("button, a, input, [popo\
ver]")!==null&&[" ","Enter"].includes(r.key))return;if(r.key===" ")return r.preventDefault(),t(!0);let l=bo?r.metaKey:r.ctrlKey,c=o.find(d=>d.match(r,l));if(!i.
take(r,l,c)){if(!c)return;c.run(r)}r.preventDefault(),n.invalidate()}),document.addEventListener("pointerdown",()=>i.forget(),!0),document.addEventListener("key\
down",r=>r.key==="Tab"&&document.documentElement.toggleAttribute("data-tabbing",!0),!0),document.addEventListener("pointerdown",()=>document.documentElement.removeAttribute(
"data-tabbing"),!0),document.addEventListener("keyup",r=>r.key===" "&&t(!1)),window.addEventListener("blur",()=>t(!1))}var Er=900,Ft=class{constructor(e){this.app=
e}app;first;get target(){let{selection:e,scene:t,tool:o}=this.app,[i]=e.ids,r=i!==void 0&&e.size===1&&o==="select"?t.settled(i)?.kind:void 0;return r&&P(r)?i:void 0}take(e,t,o){
let{app:i,first:r}=this;this.first=void 0;let s=Tr(e,t);if(s===void 0)return!1;let{target:a}=this,{origin:l}=i.selection;return r&&e.timeStamp-r.at<Er&&(a===void 0||
a===r.id)?(i.setTool("select"),i.editor.open(r.id,!1,"end",r.letter+s),!0):a===void 0||o&&l==="keyboard"&&o.group!=="Tools"?!1:o&&l==="made"?(o.group==="Tools"&&
(this.first={id:a,letter:s,at:e.timeStamp}),!1):(i.editor.open(a,!1,"end",s),!0)}compose(){let{target:e}=this;e!==void 0&&this.app.selection.origin!=="made"&&this.
app.editor.open(e,!1,"end")}forget(){this.first=void 0}};function Tr(n,e){return!(n.getModifierState("AltGraph")?!1:e||n.altKey||n.ctrlKey||n.metaKey)&&[...n.key].
length===1&&n.key!==" "?n.key:void 0}function de({key:n,code:e}){let t=n.toLowerCase();return n.length!==1||t.charCodeAt(0)<128?t:(/^Key([A-Z])$/.exec(e)?.[1]??
/^Digit(\d)$/.exec(e)?.[1])?.toLowerCase()??Ar[e]??t}var Ar={Period:".",Comma:",",BracketLeft:"[",BracketRight:"]",Equal:"=",Minus:"-"};function Pr(n){return n.
isContentEditable||n instanceof HTMLTextAreaElement||n instanceof HTMLInputElement}function Mo(n){let e=n.shiftKey?10:1,t=n.key==="ArrowLeft"?-e:n.key==="ArrowR\
ight"?e:0,o=n.key==="ArrowUp"?-e:n.key==="ArrowDown"?e:0;return[t,o]}function Cr(n,e){n.selection.size>0&&En(n,...Mo(e))}function Rr(n,e){let[t,o]=Mo(e);n.selection.
size>0?Sn(n,t,o):n.camera.panBy(-t*(e.shiftKey?12:40),-o*(e.shiftKey?12:40))}function Or(n){let e={x:n.camera.width/2,y:n.camera.height/2},t=n.camera.toWorld(e),
o={screen:e,world:t,shift:!1,alt:!1,toggle:!1,touch:!1,trail:[t]};switch(n.tool){case"rect":case"ellipse":case"line":case"arrow":return _e(n,o,n.tool).end(o);case"\
note":case"text":return ke(n,t,n.tool);default:{let i=n.selection.size===1?[...n.selection.ids][0]:void 0,r=i&&n.scene.settled(i)?.kind;i&&r&&P(r)&&n.editor.open(
i,!1)}}}function Lr(n){let e=[...new Set(n.map(({group:t})=>t))];h("help-list").replaceChildren(...e.map(t=>{let o=n.filter(i=>i.group===t).map(({label:i,keys:r})=>f(
"div",{class:"help-row"},f("dt",{text:i}),f("dd",{},...r.map(s=>f("kbd",{text:s})))));return f("section",{},f("h3",{text:t}),f("dl",{},...o))}))}var Ir=4e3,$r=24e3;function So(n,e){let t=[],o,i=[],r=l=>{o={id:A(),kind:"draw",color:n.style.color,stroke:n.style.stroke,z:n.scene.topZ()+1},t=[u(l.x),u(l.y)]},
s=l=>{let[c,d]=[t.at(-2),t.at(-1)];Math.hypot(l.x-c,l.y-d)*n.camera.zoom<1||t.push(u(l.x),u(l.y))},a=()=>({...o,...qe(zr(t,.6/n.camera.zoom))});return r(e.world),
{move(l){for(let c of l.trail)s(c);t.length>$r&&(i.push(a()),n.history.group("Draw",()=>n.history.create(i.at(-1))),n.drafts.end(),r(l.world)),n.drafts.stroke(o,
t)},end(){n.history.group("Draw",()=>n.history.create(a())),n.drafts.end(),n.announce("Stroke added")},cancel:()=>n.drafts.end()}}function zr(n,e){let t=yt(n,e);
for(let o=e*2;t.length>Ir;o*=2)t=yt(n,o);return t}var st=class{constructor(e,t){this.camera=e;this.onBegin=t}camera;onBegin;fingers=new Map;pinching=!1;down(e,t){return this.fingers.set(e,t),this.fingers.size<2?
this.pinching:(this.pinching||this.onBegin(),this.pinching=!0,!0)}move(e,t){let o=this.fingers.get(e);if(!this.pinching||!o)return o&&this.fingers.set(e,t),this.
pinching;let i=[...this.fingers].find(([l])=>l!==e)?.[1];if(this.fingers.set(e,t),!i)return!0;let r={x:(t.x+i.x)/2,y:(t.y+i.y)/2};this.camera.panBy((t.x-o.x)/2,
(t.y-o.y)/2);let s=Math.hypot(o.x-i.x,o.y-i.y),a=Math.hypot(t.x-i.x,t.y-i.y);return s>8&&a>8&&this.camera.zoomAt(r,this.camera.zoom*(a/s)),!0}up(e){this.fingers.
delete(e),this.fingers.size===0&&(this.pinching=!1)}};var Br=350,at=class{constructor(e,t,o){this.app=e;this.element=t;this.overlay=o;this.pinch=new st(e.camera,()=>this.onManualCamera()),t.addEventListener("pointe\
rdown",i=>this.down(i)),t.addEventListener("pointermove",i=>this.move(i)),t.addEventListener("pointerup",i=>this.up(i)),t.addEventListener("pointercancel",i=>this.
lost(i)),t.addEventListener("pointerleave",i=>{i.pointerType==="mouse"&&!this.gesture&&e.room.cursor.clear()}),t.addEventListener("wheel",i=>this.wheel(i),{passive:!1}),
t.ownerDocument.addEventListener("keydown",()=>this.lastTap.at=-1/0,!0),t.addEventListener("contextmenu",i=>i.preventDefault())}app;element;overlay;spaceHeld=!1;onManualCamera=()=>{};gesture;pointerId;pinch;scrolled=0;lastTap={
at:-1/0,p:{x:0,y:0}};get active(){return this.gesture!==void 0}cancel(){return this.gesture?(this.gesture.cancel(),this.finish(),!0):!1}updateCursor(e){let{tool:t}=this.
app,o="default";if(this.spaceHeld||t==="hand")o=this.gesture?"grabbing":"grab";else if(t==="text")o="text";else if(t!=="select")o="crosshair";else if(e){let i=this.
overlay.handleAt(e.screen,e.touch),r=xe(this.app.scene,e.world,this.slack(e))??Rt(this.app,e.world);o=i?lo(i):r?"move":"default"}this.element.style.cursor=o}pointer(e){
let t=this.element.getBoundingClientRect(),o=s=>({x:s.clientX-t.left,y:s.clientY-t.top}),i=o(e),r=e.getCoalescedEvents?.()??[];return{screen:i,world:this.app.camera.
toWorld(i),shift:e.shiftKey,alt:e.altKey,toggle:e.ctrlKey||e.metaKey,touch:e.pointerType==="touch",trail:(r.length>0?r:[e]).map(s=>this.app.camera.toWorld(o(s)))}}slack(e){
return(e.touch?14:6)/this.app.camera.zoom}down(e){this.element.focus({preventScroll:!0}),this.app.editor.close();let t=this.pointer(e);if(t.touch&&this.pinch.down(
e.pointerId,t.screen)){this.cancel();return}if(this.gesture||e.button!==0&&e.button!==1)return;e.preventDefault(),this.element.setPointerCapture(e.pointerId),this.
pointerId=e.pointerId,this.app.room.cursor.set({x:t.world.x,y:t.world.y});let o=e.button===1||this.spaceHeld;if(o)this.lastTap.at=-1/0;else if(this.doubleTap(t))
return;this.gesture=this.begin(t,o),this.overlay.gesture=this.gesture,this.updateCursor(),this.app.invalidate()}begin(e,t){let{app:o}=this;if(t||o.tool==="hand")
return this.onManualCamera(),xn(o,e);if(!(o.tool!=="select"&&!o.mayWrite()))switch(o.tool){case"rect":case"ellipse":case"line":case"arrow":return _e(o,e,o.tool);case"\
draw":return So(o,e);case"note":case"text":ke(o,e.world,o.tool);return;default:return this.beginSelect(e)}}beginSelect(e){let{app:t}=this,o=this.overlay.handleAt(
e.screen,e.touch);if(o){let r=o.end===void 0?void 0:t.scene.get([...t.selection.ids][0]);return r&&o.end!==void 0?kn(t,r,o.end):bn(t,e,o)}let i=xe(t.scene,e.world,
this.slack(e));return i?(e.shift||e.toggle?t.selection.toggle(i.id):t.selection.set(t.selection.has(i.id)?t.selection.ids:[i.id],"pointer"),Pt(t,e,i.id)):Rt(t,e.
world)&&!e.shift?Pt(t,e,void 0):vn(t,e)}doubleTap(e){let t=performance.now(),i=Math.hypot(e.screen.x-this.lastTap.p.x,e.screen.y-this.lastTap.p.y)<(e.touch?24:6)&&
t-this.lastTap.at<Br;if(this.lastTap={at:i?-1/0:t,p:e.screen},!i||this.app.tool!=="select"||e.shift||e.toggle)return!1;let r=xe(this.app.scene,e.world,this.slack(
e));if(r&&P(r.kind))this.app.editor.open(r.id,!1);else if(!r)ke(this.app,e.world,"text");else return!1;return!0}move(e){let t=this.pointer(e);if(!(t.touch&&this.
pinch.move(e.pointerId,t.screen))){if(this.app.room.cursor.set({x:t.world.x,y:t.world.y}),!this.gesture)return this.updateCursor(t);e.pointerId===this.pointerId&&
(this.gesture.move(t),this.app.invalidate())}}up(e){if(this.pinch.up(e.pointerId),!this.gesture||e.pointerId!==this.pointerId)return;let t=this.pointer(e),{gesture:o}=this;
this.finish(),o.end(t),this.updateCursor(t),this.app.invalidate()}lost(e){this.pinch.up(e.pointerId),e.pointerId===this.pointerId&&this.cancel()}finish(){this.gesture=
void 0,this.overlay.gesture=void 0,this.pointerId=void 0,this.updateCursor(),this.app.invalidate()}wheel(e){e.preventDefault();let{camera:t}=this.app,o=e.deltaMode===
1?16:e.deltaMode===2?t.height:1;if(e.ctrlKey||e.metaKey){this.onManualCamera();let i=this.element.getBoundingClientRect(),r=Math.max(-60,Math.min(60,e.deltaY*o));
t.zoomAt({x:e.clientX-i.left,y:e.clientY-i.top},t.zoom*Math.exp(-r/180));return}this.scrollsText(e,e.deltaY*o)||(this.onManualCamera(),e.shiftKey&&e.deltaX===0?
t.panBy(-e.deltaY*o,0):t.panBy(-e.deltaX*o,-e.deltaY*o))}scrollsText(e,t){let o=this.element.getBoundingClientRect(),{scene:i,selection:r,camera:s}=this.app,a=xe(
i,s.toWorld({x:e.clientX-o.left,y:e.clientY-o.top}),0);if(!a||!r.has(a.id)||!i.hidesText(a.id))return!1;this.scrolled+=t;let l=14*R*s.zoom,c=Math.trunc(this.scrolled/
l);return this.scrolled-=c*l,c!==0&&i.scrollText(a.id,c),!0}};var Hr=250;function Eo(n,e){let{room:t,camera:o}=n,i=d=>t.presence.update(d),r="";setInterval(()=>{let d=[...n.selection.ids].slice(0,xt),m=d.join(" ");m!==r&&i(
{selection:d}),r=m},100);let a,l=()=>{if(e.client)return;let d=o.view();i({view:{x:Math.round(d.x+d.w/2),y:Math.round(d.y+d.h/2),w:Math.round(d.w),h:Math.round(
d.h)}})};o.onChange(()=>{a??=setTimeout(()=>{a=void 0,l()},Hr)});let c=()=>{t.status==="connected"&&t.presence.state.instance!==t.instance&&i({instance:t.instance})};
t.on("status",c),c()}function J(n,e,t){if(n===e)return{text:t,place:c=>c};let o=[...n],[i,r]=[To(o,[...e]),To(o,[...t])],s="",a=[0];for(let c=0;c<=o.length;c++){s+=(i.inserted.get(c)??
[]).join("");for(let d of r.inserted.get(c)??[])s+=d,a.push(s.length);if(c===o.length)break;!i.deleted[c]&&!r.deleted[c]&&(s+=o[c]),r.deleted[c]||a.push(s.length)}
return{text:s,place:c=>a[Math.min([...t.slice(0,c)].length,a.length-1)]}}function To(n,e){let t=0;for(;t<n.length&&t<e.length&&n[t]===e[t];)t++;let[o,i]=[n.length,
e.length];for(;o>t&&i>t&&n[o-1]===e[i-1];)o--,i--;let r={deleted:new Uint8Array(n.length),inserted:new Map},[s,a]=[n.slice(t,o),e.slice(t,i)],l=s.length>0&&a.length>
0?Nr(s,a):[],[c,d]=[0,0];for(let[m,p]of[...l,[s.length,a.length]])d<p&&r.inserted.set(t+c,a.slice(d,p)),r.deleted.fill(1,t+c,t+m),[c,d]=[m+1,p+1];return r}function Nr(n,e){
let t=Math.min(n.length+e.length,600),o=new Int32Array(2*t+3),i=t+1,r=[];for(let s=0;s<=t;s++){r.push(o.slice(i-s-1,i+s+2));for(let a=-s;a<=s;a+=2){let c=a===-s||
a!==s&&o[i+a-1]<o[i+a+1]?o[i+a+1]:o[i+a-1]+1;for(;c<n.length&&c-a<e.length&&n[c]===e[c-a];)c++;if(o[i+a]=c,c>=n.length&&c-a>=e.length)return Wr(r,n.length,e.length)}}
return[]}function Wr(n,e,t){let o=[],[i,r]=[e,t];for(let s=n.length-1;s>=0;s--){let[a,l,c]=[n[s],s+1,i-r],d=c===-s||c!==s&&a[l+c-1]<a[l+c+1],m=d?c+1:c-1,p=s===0?
0:a[l+m],[M,V]=s===0?[0,0]:[p,p-m],[Pe,ut]=s===0?[0,0]:d?[M,V+1]:[M+1,V];for(;i>Pe&&r>ut;)o.push([--i,--r]);[i,r]=[M,V]}return o.reverse()}var Dr=64,_r=2e3;function Vt(n){let e=2166136261;for(let t=0;t<n.length;t++)e=Math.imul(e^n.charCodeAt(t),16777619);return(e>>>0).toString(36).padStart(7,"0")}var Ut=(n,e)=>`${n}${Vt(
e)}`,Gr=n=>n.startsWith("m");function Kt({text:n,rev:e}){let[t,o]=typeof e=="string"&&e.length<=_r?e.split(">"):[];return t===void 0||!o||!o.endsWith(Vt(n))?{id:Ut(
"?",n),over:[]}:{id:o,over:t.split(",")}}var lt=class{constructor(e,t){this.random=t;this.raw=e,this.mine=e.text,this.head={id:Kt(e).id,text:e.text},this.keep(this.
head)}random;mine;raw;head;texts=new Map;unconfirmed=[];get astray(){return this.raw.text!==this.head.text}get settled(){return this.unconfirmed.length===0&&!this.
astray&&this.mine===this.head.text}get confirmedHead(){return this.head.text}get waits(){return this.unconfirmed.length>0}confirmed(e){if(e.text===this.raw.text&&
e.rev===this.raw.rev)return;let[t,o]=[this.head,this.expected],{id:i,over:r}=Kt(e),s=this.unconfirmed.findIndex(d=>d.id===i),a=this.headAfter(e,i,r,s>=0);this.raw=
e,this.keep({id:i,text:e.text}),this.head={id:i,text:a},a!==e.text&&(this.head={id:Ut(`m${Vt(`${t.id}|${i}`)}`,a),text:a},this.keep(this.head)),s>=0&&this.unconfirmed.
splice(0,s+1);let l=this.expected;if(l===o)return;let c=J(o,l,this.mine);return this.mine=c.text,c}get expected(){return this.unconfirmed.reduce((e,t)=>J(t.madeOf,
e,t.text).text,this.head.text)}headAfter(e,t,o,i){let r=this.texts.has(t);if(Gr(t))return r?this.head.text:e.text;let s=r&&!i?void 0:o.filter(l=>this.texts.has(
l)).at(-1),a=s===void 0?this.raw.text:this.texts.get(s);return J(a,this.head.text,e.text).text}write(e=!1){let t=this.unconfirmed.at(-1);if(!t)return this.mine!==
this.head.text?this.made(this.mine,{on:this.head,madeOf:this.head.text},[this.head.id]):this.astray?this.sent({...this.head,on:this.head,madeOf:this.head.text},
[Kt(this.raw).id]):void 0;let o=[t.on.id,...this.unconfirmed.map(({id:r})=>r)],i={on:t.on,madeOf:t.text};if(t.on.id===this.head.id)return this.mine===t.text?void 0:
this.made(this.mine,i,o);if(!(!e||this.mine===this.expected))return this.made(J(this.expected,t.text,this.mine).text,i,o)}made(e,t,o){return this.sent({id:Ut(`w${this.
random()}`,e),text:e,...t},o)}sent(e,t){return this.unconfirmed.push(e),{text:e.text,rev:`${[...new Set(t)].join(",")}>${e.id}`,id:e.id}}dropped(e){let t=this.unconfirmed.
findIndex(r=>r.id===e);if(t<0)return;let[o]=this.unconfirmed.splice(t,1),i=this.unconfirmed[t];i&&(i.madeOf=o.madeOf)}keep({id:e,text:t}){this.texts.delete(e),this.
texts.set(e,t);for(let o of this.texts.keys()){if(this.texts.size<=Dr)break;this.texts.delete(o)}}};var jr=300,Fr=1500,Kr=()=>Math.floor(Math.random()*36**5).toString(36).padStart(5,"0"),ct=class{constructor(e,t,o){this.app=e;this.id=t;this.onEnd=o;let{room:i}=e;
this.shared=new lt(dt(i.objects.get(t)),Kr),this.earlier=i.outbox.filter(r=>r.objectId===t),this.stops=[i.on("objects",({ids:r,reset:s})=>(s||r.includes(t))&&this.
look()),i.on("outbox",()=>this.look())]}app;id;onEnd;shared;onMerged=()=>{};stops;writes=new Map;earlier;timer;mending;closed=!1;refused=!1;typed(e){this.shared.
mine=e,this.refused=!1,this.timer??=setTimeout(()=>this.flush(),jr)}flush(e=!1){clearTimeout(this.timer),this.timer=void 0,this.app.room.objects.has(this.id)&&!this.
refused&&this.app.mayWrite()&&this.write(e)}close(){this.flush(),this.closed=!0,this.endIfDone()}reopen(){this.closed=!1}end(){clearTimeout(this.timer),clearTimeout(
this.mending);for(let e of this.stops)e();this.onEnd()}write(e){let{room:t,history:o}=this.app,i=this.shared.write(e);if(!i)return;let r={text:i.text,rev:i.rev},
s=this.app.scene.settled(this.id);s?.kind==="text"&&Object.assign(r,W(i.text,s.size,s.wrap?s.w:void 0)),this.closed?t.batch(()=>t.objects.update(this.id,r),{undo:!1}):
o.update(this.id,r);let a=t.outbox.filter(l=>l.objectId===this.id).at(-1);if(!a)return this.shared.dropped(i.id);for(let[l,c]of this.writes)c===a&&this.forget(l);
this.writes.set(i.id,a)}forget(e){this.writes.delete(e),this.shared.dropped(e)}look(){let{room:e}=this.app,t=r=>r.state==="pending"||r.state==="sent";if(!e.objects.
has(this.id))return this.closed?this.end():void 0;if(this.earlier.some(t))return;this.earlier=[];let o=e.objects.confirmed(this.id),i=o&&this.shared.confirmed(dt(
o));i&&this.onMerged(i);for(let[r,s]of this.writes)t(s)||(this.refused||=s.state==="failed",this.forget(r));if(this.shared.settled)return this.endIfDone();!this.
shared.waits&&this.writes.size===0&&this.mend()}mend(){clearTimeout(this.mending);let e=this.shared.astray&&this.shared.mine===this.shared.confirmedHead?Fr*(.7+
Math.random()):0;this.mending=setTimeout(()=>this.flush(),e)}endIfDone(){this.closed&&(this.shared.settled||this.refused)&&this.end()}},dt=n=>({text:typeof n?.text==
"string"?n.text:"",rev:n?.rev});var Ur={note:"Text of the sticky note",text:"Text",rect:"Text of the rectangle",ellipse:"Text of the ellipse"},ht=class{constructor(e,t){this.layer=e;this.app=t;
this.area=document.createElement("textarea"),this.area.className="text-editor",this.area.maxLength=z,this.area.spellcheck=!1,this.area.dataset.testid="text-edit\
or",this.area.addEventListener("beforeinput",o=>this.tellIfFull(o)),this.area.addEventListener("input",()=>this.input()),this.area.addEventListener("composition\
start",()=>this.composing=!0),this.area.addEventListener("compositionend",()=>{this.composing=!1,this.input()}),this.area.addEventListener("blur",()=>document.activeElement===
this.area?this.flush():this.close()),this.area.addEventListener("keydown",o=>this.key(o));for(let o of["copy","cut","paste"])this.area.addEventListener(o,i=>i.stopPropagation())}layer;app;area;session;ending=new Map;known="";composing=!1;last;touched=!1;get isOpen(){
return this.session!==void 0}open(e,t,o="all",i=""){this.close();let r=this.app(),s=r.scene.settled(e);if(!s||!P(s.kind)||!r.mayWrite())return;let{text:a}=dt(r.
room.objects.get(e));if(a.length>z)return r.toast(`This text is longer than ${z.toLocaleString("en")} characters and can't be edited here`);t||r.history.begin("\
Edit text"),this.begin(e,s,a),o==="all"?this.area.select():this.area.setSelectionRange(a.length,a.length),i&&(this.area.setRangeText(i,this.area.selectionStart,
this.area.selectionEnd,"end"),this.input())}begin(e,t,o){let i=this.app(),r=this.ending.get(e);r?.reopen();let s=r??new ct(i,e,()=>this.ending.delete(e));s.onMerged=
a=>this.take(a),this.ending.set(e,s),this.session=s,this.composing=this.touched=!1,this.known=this.area.value=r?s.shared.mine:o,this.last=i.room.objects.get(e),
this.area.setAttribute("aria-label",Ur[t.kind]??"Text"),this.area.isConnected||this.layer.append(this.area),i.selection.set([e]),i.renderer.editing=e,i.renderer.
repaintAll(),this.place(),this.area.focus({preventScroll:!0}),i.invalidate()}close(){let{session:e}=this;if(!e)return;let t=this.app();this.composing=!1,this.input(),
this.session=void 0,e.onMerged=()=>{},t.scene.settled(e.id)?.kind==="text"&&this.area.value.trim()===""?(t.history.remove(e.id),t.selection.drop(e.id),e.end()):
e.close(),t.history.commit(),t.renderer.editing=void 0,t.renderer.repaintAll(),this.area.remove(),t.invalidate()}objectGone(e){let{session:t,last:o}=this;if(e!==
t?.id)return;let i=this.app();this.input();let r=this.area.value;if(this.session=void 0,t.end(),!this.touched||!o||!i.mayWrite())return i.toast("Somebody delete\
d what you were writing on"),this.leave();let{rev:s,...a}=o,l={...a,id:A(),text:r};i.history.commit(),i.history.begin("Keep what was written"),i.history.create(
l),i.toast("Somebody deleted this while you were writing. What you wrote is kept as a new one.");let c=this.area.selectionEnd,d=i.scene.settled(l.id);if(!d)return this.
leave();this.begin(l.id,d,r),this.touched=!0,this.area.setSelectionRange(c,c)}leave(){let e=this.app();e.history.commit(),e.renderer.editing=void 0,e.renderer.repaintAll(),
this.area.remove(),e.invalidate()}place(){let e=this.app(),t=this.session&&e.scene.get(this.session.id);if(!t)return;let{style:o,value:i}={style:this.area.style,
value:this.area.value},r=e.camera.toScreen(t),s=At(t,i),a=De(t);if(o.font=`${s}px/${R} ${we}`,o.color=Ee(t),o.whiteSpace="pre-wrap",t.kind==="text"){let l=W(i||
" ",s,t.wrap?t.w:void 0);o.padding="0 1px",o.width=`${l.w+(t.wrap?2:s)}px`,o.height=`${l.h+2}px`}else{let l=t.kind!=="note",c=a.h-be(i||" ",s,a.w).length*s*R,d=l?
Math.max(0,c/2):0;o.textAlign=l?"center":"left",o.padding=`${a.y+d}px ${t.w-a.x-a.w}px ${Math.max(0,t.h-a.y-a.h)}px ${a.x}px`,o.width=`${t.w}px`,o.height=`${t.h}\
px`,o.overflowY=c<0?"auto":"hidden"}o.transform=`translate(${r.x}px, ${r.y}px) scale(${e.camera.zoom})`}input(){let{session:e,area:t}=this;if(!e||(this.place(),
this.touched||=t.value!==this.known,this.composing))return;let o=J(this.known,e.shared.mine,t.value);this.known=o.text,o.text!==e.shared.mine&&e.typed(o.text),this.
show(o)}take(e){let{session:t}=this;t&&(this.last=this.app().room.objects.get(t.id)??this.last,!this.composing&&(this.known=e.text,this.show(e),this.place()))}show({
text:e,place:t}){let{area:o}=this;if(o.value===e)return;let{selectionStart:i,selectionEnd:r,selectionDirection:s,scrollTop:a}=o,[l,c]=[t(i),t(r)];o.value=e,o.setSelectionRange(
l,c,s),o.scrollTop=a}flush(e=!1){this.session&&(e&&(this.composing=!1),this.input(),this.session.flush(e))}tellIfFull(e){if(!e.inputType.startsWith("insert"))return;
let{value:t,selectionStart:o,selectionEnd:i}=this.area,r=(e.data??e.dataTransfer?.getData("text/plain")??`
`).length;t.length-(i-o)+r<=z||this.app().toast(`A text has at most ${z.toLocaleString("en")} characters: the rest was left out`)}key(e){e.stopPropagation(),!(D(
e)||!(e.key==="Escape"||e.key==="Enter"&&(e.ctrlKey||e.metaKey))&&e.key!=="Tab")&&(e.preventDefault(),this.close(),document.getElementById("overlay")?.focus())}};async function Xr(){let{canvas:n,refused:e}=so();document.title=`${n} \u2013 scumble`,h("canvas-name").textContent=n,h("canvas-name").title=n;let t=ro(),o=ao();
Zn(()=>r?.themeChanged());let i=await Vr({url:ee().href,canvas:n,user:{name:t.name,color:t.color},persist:"indexeddb",...o?{token:o}:{}}),r=new Xt(i,n,o);fo(i,t,
()=>r.chat.render()),r.start(),e!==void 0&&r.toast(`A canvas can't be named \u201C${e.slice(0,40)}\u201D: a name has letters, digits and . _ : - and begins with a le\
tter or digit. This is a new one`)}var Xt=class{constructor(e,t,o){this.room=e;this.canvas=t;this.history=new et(e,()=>this.mayWrite()),this.renderer=new ot(h("\
scene"),this.scene,this.camera,()=>this.invalidate()),this.overlay=new nt(h("overlay"),this.scene,this.camera,this.selection),this.drafts=new Xe(this.scene,i=>{
e.signal("draft",i)}),this.editor=new ht(h("editor-layer"),()=>this),this.stage=new at(this,h("overlay"),this.overlay),xo(this),this.styleBar=new rt(this),this.
cursors=new Ve(e,this.camera,h("cursors"),this.invalidate),this.follow=new Qe(e,this.camera,this.announce),this.people=new ze(e,h("avatars"),h("people-list"),this.
follow,this.announce),this.chat=new Be(e,()=>this.chatPanel.isOpen),this.startPanels(o)}room;canvas;camera=new Ie;scene=new Ke;selection=new it;style={color:"in\
k",fill:"tint",stroke:4};announce=go();history;renderer;overlay;drafts;editor;chat;tool="select";stage;styleBar;cursors;follow;people;chatPanel=new ce("chat","c\
hat-button","chat-close");drawerPanel=new ce("drawer","drawer-button","drawer-close");frameAsked=!1;ended=!1;showsAll=!1;startPanels(e){let{room:t,chat:o}=this;
ce.onChange=()=>this.showsAll&&this.fitAll(),this.chatPanel.onOpen=()=>o.opened(),t.whenSynced().then(()=>o.markAllSeen(),()=>{});let i=new URL(`ws/${encodeURIComponent(
this.canvas)}`,ee());i.protocol=i.protocol.replace("http","ws");let r=()=>S(this.camera.view(),-Math.min(60,this.camera.width/10)),s=new Ze(t,new Oe(t),new Le(i.
href,e),r,this.toast);this.drawerPanel.onOpen=()=>s.opened(),this.drawerPanel.onClose=()=>s.closed(),Zt(t,this.announce,this.toast),h("badge").addEventListener(
"click",()=>{this.drawerPanel.open(),s.showOutbox()}),h("share").addEventListener("click",()=>{yo(this.toast)}),h("theme-button").addEventListener("click",this.
toggleTheme),h("theme-narrow").addEventListener("click",this.toggleTheme),h("undo").addEventListener("click",this.undo),h("redo").addEventListener("click",this.
redo),h("zoom-in").addEventListener("click",()=>this.zoomTo(this.camera.zoom*1.25)),h("zoom-out").addEventListener("click",()=>this.zoomTo(this.camera.zoom*.8)),
h("zoom-level").addEventListener("click",()=>this.zoomTo(1)),h("fit").addEventListener("click",this.fitAll)}start(){let{room:e}=this;Eo(this,this.follow),Nn(this),
to(this),In(this,h("stage"));let t=new tt(this);e.on("objects",({changes:o})=>{for(let{id:i,own:r,client:s,type:a}of o)r||t.heardOf(s,a,i)}),ko(this,{undo:this.
undo,redo:this.redo,zoomTo:this.zoomTo,fitAll:this.fitAll,toggleChat:()=>this.chatPanel.toggle(),toggleDrawer:()=>this.drawerPanel.toggle(),toggleTheme:this.toggleTheme,
help:mo(),escape:this.escape},o=>this.holdSpace(o)),this.scene.onDirty=this.invalidate,this.selection.onChange=()=>this.selectionChanged(),this.history.onChange=
()=>this.showHistory(),this.camera.onChange(()=>this.cameraChanged()),this.stage.onManualCamera=()=>{this.showsAll=!1,this.follow.stop()},this.follow.onChange=()=>{
this.people.render(),this.invalidate()};for(let o of e.objects)this.scene.set(o.id,o);this.listen(),addEventListener("pagehide",()=>{this.stage.cancel(),this.editor.
flush(!0)},{capture:!0}),document.addEventListener("visibilitychange",()=>document.hidden&&this.editor.flush()),new ResizeObserver(()=>this.resized()).observe(h(
"stage")),this.resized(),this.themeChanged(),this.people.render(),this.setTool("select"),this.showHistory(),this.showFirst(),window.scumbleDemo={room:e,app:this,
scene:this.scene,camera:this.camera,history:this.history,selection:this.selection},document.documentElement.dataset.ready="true"}showFirst(){let e=!0,t=()=>{e=!1};
for(let o of["pointerdown","wheel","keydown"])addEventListener(o,t,{once:!0,capture:!0});this.camera.moveTo({x:0,y:0},1),this.room.whenSynced().then(()=>e&&this.
scene.size>0&&this.fitAll(),()=>{})}listen(){let{room:e}=this;e.on("objects",({changes:t,reset:o})=>{if(o)for(let i of this.scene.ids())e.objects.has(i)||this.gone(
i);for(let i of t){let r=e.objects.get(i.id);r?this.scene.set(i.id,r):this.gone(i.id),i.own||this.drafts.objectChanged(i.id,i.client)}if(o)for(let i of e.objects)
this.scene.set(i.id,i);h("empty").hidden=this.scene.size>0,this.styleBar.update()}),e.on("signal",({client:t,event:o,data:i})=>o==="draft"&&this.drafts.receive(
t,i)),e.on("others",t=>{this.drafts.forgetUnless(o=>t.some(i=>i.client===o&&!i.away)),this.showOutlines()}),e.on("error",t=>{t.op?this.toast(`Not saved: ${t.message}`):
t.code==="storage"&&this.toast(t.message)}),e.on("status",t=>{t==="disconnected"&&this.endDrawing()}),e.on("sync",()=>h("empty").hidden=this.scene.size>0)}gone(e){
this.scene.set(e,void 0),this.selection.drop(e),this.editor.objectGone(e)}showOutlines(){this.overlay.outlines=qr(this.room),this.invalidate()}invalidate=()=>{this.
frameAsked||(this.frameAsked=!0,requestAnimationFrame(e=>this.frame(e)))};frame(e){this.frameAsked=!1;let t=this.follow.frame(e);this.renderer.frame(e),this.overlay.
showHandles=this.tool==="select"&&!this.editor.isOpen,this.overlay.frame(),this.editor.isOpen&&this.editor.place(),(this.cursors.frame(e)||t)&&this.invalidate()}setTool(e){
this.stage.cancel(),this.editor.close(),this.tool=e,e!=="select"&&this.selection.clear(),wo(e),this.styleBar.update(),this.stage.updateCursor(),this.invalidate()}toast=e=>{
po(e),this.announce(e)};mayWrite(){return!this.ended&&this.room.role==="write"?!0:(this.toast(this.ended?"Drawing is off: this page is not connected any more":"\
You may look around here, but not draw"),!1)}endDrawing(){this.stage.cancel(),this.editor.close(),this.ended=!0}undo=()=>{this.editor.close(),this.tellStep(this.
history.undo(),"undo","Undone")};redo=()=>{this.editor.close(),this.tellStep(this.history.redo(),"redo","Redone")};tellStep(e,t,o){e?e.done?this.announce(`${o}:\
 ${e.label}`):this.toast(`Nothing to ${t}: others have changed that since (${e.label})`):this.announce(`Nothing left to ${t}`)}zoomTo=e=>{this.showsAll=!1,this.
camera.zoomAtCentre(e)};fitAll=()=>{let e=this.scene.bounds(this.scene.ids());this.follow.stop(),this.showsAll=!0,e?this.camera.fit(e,ge()):this.camera.moveTo({
x:0,y:0},1)};escape=()=>{if(!this.stage.cancel()){if(this.follow.client)return this.follow.stop();if(this.tool!=="select")return this.setTool("select");this.selection.
clear()}};toggleTheme=()=>{this.announce(Yn()?"Dark":"Light"),this.themeChanged()};holdSpace(e){this.stage.spaceHeld=e,this.stage.updateCursor()}selectionChanged(){
this.styleBar.update(),this.invalidate()}showHistory(){h("undo").disabled=!this.history.canUndo,h("redo").disabled=!this.history.canRedo}cameraChanged(){let{camera:e}=this,
{style:t}=h("stage"),o=e.zoom<.35?96:e.zoom<.7?48:24;for(;o*e.zoom<7;)o*=2;t.setProperty("--grid",`${o*e.zoom}px`),t.setProperty("--grid-x",`${-e.x*e.zoom}px`),
t.setProperty("--grid-y",`${-e.y*e.zoom}px`),h("zoom-level").textContent=`${Math.round(e.zoom*100)}%`,this.invalidate()}resized(){let{clientWidth:e,clientHeight:t}=h(
"stage");this.camera.resize(e,t),this.renderer.resize(),this.overlay.resize(),this.invalidate()}themeChanged(){this.overlay.accent=le("--accent"),this.overlay.surface=
le("--panel"),this.styleBar.recolor(),this.renderer.repaintAll(),this.invalidate()}};function qr(n){return n.others.flatMap(e=>{let{selection:t}=w(e);return t.length===
0?[]:[{ids:t,color:T(e),name:b(e)}]})}typeof document>"u"?sn(self):Xr();
//# sourceMappingURL=demo.js.map
