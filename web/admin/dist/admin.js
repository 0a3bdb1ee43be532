var pt=new URL("./api/",import.meta.url),ft=1e4,x=class extends Error{constructor(n,s){super(s);this.status=n}status},Le=()=>{};function Oe(t){Le=t}async function k(t,e,n){
let s;try{s=await fetch(new URL(e,pt),{method:t,headers:{"x-scumble-admin":"1",...n===void 0?{}:{"content-type":"application/json"}},credentials:"same-origin",cache:"\
no-store",redirect:"error",signal:AbortSignal.timeout(ft),...n===void 0?{}:{body:JSON.stringify(n)}})}catch{throw new x(0,"The server does not answer.")}let r=await s.
text(),i;try{i=JSON.parse(r)}catch{throw new x(s.status,`The server answered ${s.status} in words that are no JSON: is there a proxy in between?`)}if(s.ok)return i;
let{message:a}=i;throw s.status===401&&e!=="session"&&Le(),new x(s.status,a??`The server answered ${s.status}.`)}var g=t=>k("GET",t),y=encodeURIComponent;function b(t){let e=document.getElementById(t);if(!e)throw new Error(`index.html has no #${t}`);return e}function o(t,e={},...n){let s=document.createElement(t);
e.class&&(s.className=e.class),e.testid&&(s.dataset.testid=e.testid),e.title&&(s.title=e.title);for(let[r,i]of Object.entries(e.attrs??{}))s.setAttribute(r,i);e.
onclick&&s.addEventListener("click",e.onclick),s instanceof HTMLButtonElement&&!s.hasAttribute("type")&&(s.type="button");for(let r of n)r!=null&&r!==!1&&s.append(
typeof r=="number"?String(r):r);return s}var gt="http://www.w3.org/2000/svg";function W(t,e={},...n){let s=document.createElementNS(gt,t);for(let[r,i]of Object.
entries(e))s.setAttribute(r,String(i));return s.append(...n),s}function fe(t){b("live").textContent=t}function B(t,e,n){let s=b("ask");b("ask-title").textContent=
t,b("ask-text").textContent=e;let r=b("ask-yes");return r.textContent=n,s.returnValue="",s.showModal(),b("ask-no").focus(),new Promise(i=>{r.onclick=()=>s.close(
"yes"),b("ask-no").onclick=()=>s.close(""),s.onclose=()=>i(s.returnValue==="yes")})}function $(t,e,n,s,r){if(n.length===0)return o("p",{class:"hint",...r?{testid:r}:
{}},s);let i=o("tr",{},...e.map(l=>o("th",{attrs:{scope:"col"}},l))),a=n.map(l=>o("tr",{},...l.map((d,c)=>o(c===0?"th":"td",{attrs:{"data-label":e[c]??"",...c===
0?{scope:"row"}:{}}},d??"\u2013"))));return o("div",{class:"scroll"},o("table",r?{testid:r}:{},o("caption",{class:"sr"},t),o("thead",{},i),o("tbody",{},...a)))}
var w=(t,e,n)=>o("span",{class:`pill ${e}`,...n?{title:n}:{}},t),M=(t,...e)=>o("div",{},o("dt",{},t),o("dd",{},...e));var bt=new Intl.NumberFormat("en"),yt=new Intl.NumberFormat("en",{maximumSignificantDigits:3,notation:"compact"}),C="\u2013",u=t=>t==null?C:bt.format(t),j=t=>t==
null?C:t<.05?"0":yt.format(t);function v(t){return t==null?C:t>=1e4?`${Math.round(t/1e3)} s`:t>=1e3?`${(t/1e3).toFixed(1)} s`:`${t>=100?Math.round(t):t>=10?t.toFixed(
1):t.toFixed(2)} ms`}var Re=["B","KiB","MiB","GiB","TiB"];function S(t){if(t==null)return C;let[e,n]=[t,0];for(;e>=1024&&n<Re.length-1;)[e,n]=[e/1024,n+1];return`${n===
0||e>=100?Math.round(e):e.toFixed(1)} ${Re[n]}`}function R(t){if(t==null)return C;let e=Math.max(0,Math.floor(t/1e3));return e<60?`${e} s`:e<3600?`${Math.floor(
e/60)} min`:e<86400?`${Math.floor(e/3600)} h ${Math.floor(e%3600/60)} min`:`${Math.floor(e/86400)} d ${Math.floor(e%86400/3600)} h`}var _=(t,e=!0)=>new Date(t).
toLocaleTimeString([],{hour:"2-digit",minute:"2-digit",...e?{second:"2-digit"}:{}}),ge=t=>{let e=new Date(t);return e.toDateString()===new Date().toDateString()?
_(t):`${e.toLocaleDateString("en",{day:"numeric",month:"short"})}, ${_(t,!1)}`},q=t=>{let e=t?Date.parse(t):Number.NaN;return Number.isNaN(e)?C:`${R(Date.now()-
e)} ago`};var G=t=>t==="line"||t==="arrow";var He=t=>Math.round(t*10)/10,H=(t,e,n)=>Math.min(n,Math.max(e,t));function N(t){return{x:t.w<0?t.x+t.w:t.x,y:t.h<0?t.y+t.h:t.y,w:Math.abs(t.w),h:Math.abs(t.h)}}function F(t,e){return{x:t.x-e,y:t.y-e,w:t.w+2*e,h:t.h+2*e}}function be(t,e){
let n=Math.min(t.x,e.x),s=Math.min(t.y,e.y);return{x:n,y:s,w:Math.max(t.x+t.w,e.x+e.w)-n,h:Math.max(t.y+t.h,e.y+e.h)-s}}function Ne(t){let e;for(let n of t)e=e?
be(e,n):n;return e}function U(t){let e=0,n=0;for(let s=0;s+1<t.length;s+=2)e=Math.max(e,t[s]??0),n=Math.max(n,t[s+1]??0);return{w:e,h:n}}var vt={ink:{line:"#23262f",tint:"#e6e7eb",paper:"#eceae4",onPaper:"#23262f"},red:{line:"#d0413c",tint:"#f9dfdc",paper:"#ffd3cd",onPaper:"#5c1512"},orange:{line:"\
#dd7420",tint:"#fbe6d2",paper:"#ffdcb8",onPaper:"#5a2b05"},yellow:{line:"#c79a0b",tint:"#f8efc8",paper:"#ffefa6",onPaper:"#4a3a03"},green:{line:"#3f8f3c",tint:"\
#dcefd8",paper:"#d2efc6",onPaper:"#173c15"},teal:{line:"#0d7d70",tint:"#d3ece8",paper:"#c3ebe4",onPaper:"#06372f"},blue:{line:"#2f6bd0",tint:"#dae6f8",paper:"#c\
fe2ff",onPaper:"#112c59"},violet:{line:"#7d4fc4",tint:"#e9dff6",paper:"#e5d7fb",onPaper:"#321a56"}},wt={ink:{line:"#e6e4de",tint:"#35373d",paper:"#3d3f46",onPaper:"\
#f1efe9"},red:{line:"#f0766e",tint:"#4a2725",paper:"#6d302c",onPaper:"#ffe3df"},orange:{line:"#f09a4f",tint:"#47301c",paper:"#6d431d",onPaper:"#ffe9d3"},yellow:{
line:"#e3bf4d",tint:"#423919",paper:"#65561c",onPaper:"#fff4cd"},green:{line:"#7cc276",tint:"#25402a",paper:"#2d5632",onPaper:"#e2f6de"},teal:{line:"#4fc0b1",tint:"\
#193f3b",paper:"#1a5750",onPaper:"#d6f5f0"},blue:{line:"#77a7f5",tint:"#233655",paper:"#294a7d",onPaper:"#e0ecff"},violet:{line:"#b692ee",tint:"#382b52",paper:"\
#4e3a78",onPaper:"#efe6ff"}},xt=/^#(?:[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})$/i,De=!1;function Be(t){De=t}function se(t){let e=De?wt:vt,n=Object.hasOwn(e,t)?e[t]:
void 0;if(n)return n;let s=xt.test(t)?t:e.ink.line;return{line:s,tint:s.length===7?`${s}33`:s,paper:s,onPaper:ye(s)}}function ye(t){let e=t.length<6?[...t.slice(1,4)].map(i=>i+i).join(""):t.slice(1,7),[n,s,r]=[0,2,4].map(i=>{let a=parseInt(e.slice(i,i+2),16)/255;return a<=.03928?
a/12.92:((a+.055)/1.055)**2.4});return .2126*n+.7152*s+.0722*r>.179?"#16181d":"#ffffff"}var kt=6;function we({w:t,h:e,stroke:n}){let s=Math.hypot(t,e);if(s<1)return[];let r=Math.min(10+3*n,s*.6),i=Math.atan2(e,t),a=l=>({x:t-r*Math.cos(i+l),y:e-r*Math.
sin(i+l)});return[a(.45),{x:t,y:e},a(-.45)]}var ve=t=>({x:t.x+t.w/2,y:t.y+t.h/2});function je(t,e){let n=F(N(t),kt+t.stroke/2),s=ve(n),[r,i]=[e.x-s.x,e.y-s.y];if(r===
0&&i===0)return s;let a=t.kind==="ellipse"?1/Math.hypot(r/(n.w/2),i/(n.h/2)):Math.min(n.w/2/Math.abs(r),n.h/2/Math.abs(i));return a>=1?s:{x:s.x+r*a,y:s.y+i*a}}function qe(t,e){
let n=c=>{let h=c===void 0?void 0:e(c);return h&&xe(h)?h:void 0},[s,r]=[n(t.from),n(t.to)];if(!s&&!r)return t;let[i,a]=[{x:t.x,y:t.y},{x:t.x+t.w,y:t.y+t.h}],l=s?
je(s,r?ve(N(r)):a):i,d=r?je(r,s?ve(N(s)):i):a;return{...t,x:l.x,y:l.y,w:d.x-l.x,h:d.y-l.y}}var xe=t=>t.kind!=="line"&&t.kind!=="arrow"&&t.kind!=="draw";var ke='ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif',V=1.3,J=16;var Mt=12,St,Me=()=>St??=document.createElement("canvas").getContext("2d"),ze=t=>`${t}px ${ke}`,Z=t=>t==="note"||t==="text"||t==="rect"||t==="ellipse";function We(t,e,n,s=1/0){let r=Me();r.font=ze(e);let i=[];for(let a of t.split(`
`)){let l="";for(let d of a.split(/(?<=\s)/)){l&&r.measureText((l+d).trimEnd()).width>n&&(i.push(l.trimEnd()),l=""),l+=d;for(let c=Ge(l,e,n);c<l.trimEnd().length&&
i.length<s;c=Ge(l,e,n))i.push(l.slice(0,c)),l=l.slice(c);if(i.length>=s)return i}if(i.push(l.trimEnd()),i.length>=s)return i}return i}function Ge(t,e,n){let s=Me(),
r=Math.min(t.length,8+Math.ceil(4*Math.max(0,n)/e));if(s.measureText(t.slice(0,r).trimEnd()).width<=n){if(r===t.length||s.measureText(t.trimEnd()).width<=n)return t.
length;r=t.length}let i=1;for(;i<r;){let l=i+r+1>>1;s.measureText(t.slice(0,l)).width<=n?i=l:r=l-1}let a=t.charCodeAt(i-1);return a>=55296&&a<=56319?i>1?i-1:i+1:
i}function Fe(t){let{w:e,h:n}=t;if(t.kind==="text")return{x:1,y:0,w:Math.max(1,e),h:n};if(t.kind==="note")return{x:J,y:J,w:Math.max(1,e-2*J),h:Math.max(1,n-2*J)};
let[s,r]=t.kind==="ellipse"?[e*.147,n*.147]:[8,6],i=t.stroke/2;return{x:s+i,y:r+i,w:Math.max(1,e-2*(s+i)),h:Math.max(1,n-2*(r+i))}}function Tt(t,e){if(t.kind===
"text")return t.size;let{w:n,h:s}=Fe(t),r=t.kind==="note"?H(Math.round(t.w/8),10,64):t.size,i=Math.min(r,Mt,Math.max(6,t.w/12));for(let a=r;a>i;a=Math.floor(a*.88)){
let l=Math.floor(s/(a*V));if(We(e,a,n,l+1).length<=l)return a}return i}function Q(t){return t.layout??=$t(t)}function $t({shape:t,scrolled:e=0}){let n=Fe(t),s=Tt(
t,t.text),r=s*V,i=t.kind!=="text"?n.w:t.wrap?t.w+1:Math.max(t.w*1.08+8,s*2),a=We(t.text,s,i);if(t.kind==="text")return{box:n,size:s,lines:a,top:0,centred:!1,from:0,
total:a.length};let l=t.kind!=="note",d=Math.max(1,Math.floor((n.h+(t.kind==="note"?J/2:1))/r)),c=H(e,0,Math.max(0,a.length-d)),h=Et(a.slice(c),d,f=>Me().measureText(
f).width<=i),p=l?n.y+Math.max(0,(n.h-h.length*r)/2):n.y;return{box:n,size:s,lines:h,top:p,centred:l,from:c,total:a.length}}function Et(t,e,n){if(t.length<=e)return t;
let s=[...t[e-1]];for(;s.length>0&&!n(`${s.join("")}\u2026`);)s.pop();return[...t.slice(0,e-1),`${s.join("").trimEnd()}\u2026`]}var _t=["rect","ellipse","line","arrow","draw","note","text","image"],Ct=["none","tint","solid"],Pt=1e6;function P(t,e,n=Pt){return typeof t=="number"&&Number.isFinite(
t)?H(t,-n,n):e}var At=8e3,Ue=t=>typeof t=="string"&&t.length<=64?t:void 0,It=/^asset:[0-9a-f]{64}$/,Lt={rect:[120,80],ellipse:[120,80],line:[120,0],arrow:[120,0],
draw:[0,0],note:[180,180],text:[120,28],image:[160,120]};function Ot(t){let e=_t.includes(t.kind)?t.kind:"rect",n=Array.isArray(t.points)?t.points.map(a=>P(a,0)):
[],[s,r]=e==="draw"?[U(n).w,U(n).h]:Lt[e],i=e==="rect"||e==="ellipse"?"tint":"none";return{id:String(t.id),kind:e,x:P(t.x,0),y:P(t.y,0),w:G(e)?P(t.w,s):Math.abs(
P(t.w,s)),h:G(e)?P(t.h,r):Math.abs(P(t.h,r)),color:typeof t.color=="string"?t.color:e==="note"?"yellow":"ink",fill:Ct.includes(t.fill)?t.fill:i,stroke:H(P(t.stroke,
2),1,40),points:n,text:typeof t.text=="string"?t.text.slice(0,At):"",size:H(P(t.size,22),6,400),wrap:t.wrap===!0,from:e==="arrow"?Ue(t.from):void 0,to:e==="arro\
w"?Ue(t.to):void 0,z:P(t.z,0,1e12),src:e==="image"&&typeof t.src=="string"&&It.test(t.src)?t.src:""}}function Qe(t){let e=t.kind==="arrow"?6+2*t.stroke:0,n=t.kind===
"note"?10:t.kind==="text"?4:t.stroke/2+2+e;return{shape:t,painted:F(N(t),n)}}var Ke=(t,e)=>t.shape.z-e.shape.z||(t.shape.id<e.shape.id?-1:1),re=class{base=new Map;previews=new Map;ghosts=new Map;items=new Map;arrows=new Map;scrolls=new Map;sorted=[];unsorted=!1;dirtyBoxes=[];onDirty=()=>{};get size(){
return this.base.size}get(e){return this.items.get(e)?.shape}ids(){return this.order().filter(e=>this.base.has(e.shape.id)).map(e=>e.shape.id)}order(){return this.
unsorted&&(this.sorted=[...this.items.values()].sort(Ke),this.unsorted=!1),this.ghosts.size===0?this.sorted:[...this.sorted,...this.ghosts.values()]}topZ(){let e=this.
order();for(let n=e.length-1;n>=0;n--)if(this.base.has(e[n].shape.id))return e[n].shape.z;return 0}bottomZ(){return this.order()[0]?.shape.z??0}bounds(e){let n;
for(let s of e){let r=this.get(s);r&&(n=n?be(n,N(r)):N(r))}return n}set(e,n){let s=this.base.get(e),r=n&&Ot(n);for(let i of[s?.from,s?.to])i&&this.arrows.get(i)?.
delete(e);for(let i of[r?.from,r?.to])i&&this.arrows.set(i,(this.arrows.get(i)??new Set).add(e));r?this.base.set(e,r):(this.base.delete(e),this.previews.delete(
e),this.scrolls.delete(e)),this.refresh(e)}arrowsOf(e){return[...this.arrows.get(e)??[]]}hidesText(e){let n=this.items.get(e);if(!n||!n.shape.text||!Z(n.shape.kind))
return!1;let{lines:s,total:r}=Q(n);return r>s.length}scrollText(e,n){let s=this.items.get(e);if(!s||!this.hidesText(e))return!1;let{from:r,lines:i,total:a}=Q(s),
l=H(r+n,0,a-i.length);return l===r?!1:(this.scrolls.set(e,l),this.refresh(e),!0)}preview(e,n){if(n)this.previews.set(e,n);else if(!this.previews.delete(e))return;
this.refresh(e)}settled(e){return this.base.get(e)}ghost(e,n){let s=this.ghosts.get(e);if(s&&this.dirty(s.painted),!n){this.ghosts.delete(e);return}let r=Qe(n);
this.ghosts.set(e,r),this.dirty(r.painted)}refresh(e){let n=this.items.get(e);n&&this.dirty(n.painted);let s=this.base.get(e);if(!s)return this.items.delete(e)&&
(this.unsorted=!0),this.refreshArrows(e);let r=this.previews.get(e),i=r?{...s,...r}:s,a=Qe(r?i:qe(i,d=>this.items.get(d)?.shape)),l=this.scrolls.get(e);l!==void 0&&
(a.scrolled=l),this.items.set(e,a),!n||n.shape.z!==a.shape.z||this.unsorted?this.unsorted=!0:this.replaceSorted(n,a),this.dirty(a.painted),this.refreshArrows(e)}refreshArrows(e){
let n=this.base.get(e);if(!(n&&!xe(n)))for(let s of this.arrows.get(e)??[])s!==e&&this.refresh(s)}replaceSorted(e,n){let s=0,r=this.sorted.length-1;for(;s<=r;){
let i=s+r>>1,a=this.sorted[i];if(a===e){this.sorted[i]=n;return}Ke(a,e)<0?s=i+1:r=i-1}this.unsorted=!0}dirty(e){this.dirtyBoxes.push(e),this.onDirty()}takeDirty(){
let e=this.dirtyBoxes;return this.dirtyBoxes=[],e}dropCaches(){for(let e of this.items.values())e.path=e.layout=void 0}};var Se=class{onChange=()=>{};room;entries=new Map;uploads=new Map;start(e){this.room=e}get(e){if(e===""||!this.room)return;let n=this.entries.get(e)??this.load(
e);return this.entries.delete(e),this.entries.set(e,n),this.entries.size>300&&this.entries.delete(this.entries.keys().next().value),n.picture}progress(e){return this.
uploads.get(e)}setProgress(e,n){n===void 0?this.uploads.delete(e):this.uploads.set(e,n),this.onChange()}load(e){let n={picture:void 0,done:this.tried(e).then(s=>{
n.picture=s,s&&this.onChange()})};return n}async tried(e){for(let n=0;n<12;n++)try{let s=new Image;return s.crossOrigin="anonymous",s.src=await this.room.assets.
url(e),await s.decode(),s}catch{await new Promise(s=>setTimeout(s,Math.min(2e4,500*2**n)))}}async loaded(e){let n=[...new Set(e)],s=Promise.all(n.map(r=>(this.get(
r),this.entries.get(r)?.done)));return await Promise.race([s,new Promise(r=>setTimeout(r,15e3))]),n.filter(r=>!this.entries.get(r)?.picture).length}async embedded(e){
let n=new Map,s=AbortSignal.timeout(15e3),r=async a=>{for(let l=0;!s.aborted;l++)try{let d=await fetch(await this.room.assets.url(a),{signal:s});if(!d.ok)throw new Error(
d.statusText);n.set(a,await Rt(await d.blob()));return}catch{await new Promise(d=>setTimeout(d,Math.min(15e3/4,500*2**l)))}},i=[...new Set(e)];return await Promise.
all(i.map(r)),{all:n,missing:i.length-n.size}}};function Rt(t){return new Promise((e,n)=>{let s=new FileReader;s.onload=()=>e(String(s.result)),s.onerror=()=>n(
s.error??new Error("the picture can't be read")),s.readAsDataURL(t)})}var Ht=new Se;function Xe(t){let e=se(t.color);return t.kind==="note"?e.onPaper:t.fill==="solid"&&t.kind!=="text"?ye(e.line):e.line}var Nt=/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu,Je=t=>t.replace(Nt,"").replaceAll("&","&amp;").replaceAll("<","&lt;").replaceAll(">","&gt;").
replaceAll('"',"&quot;"),I=t=>String(He(t)),E=(t,e,n)=>{let s=Object.entries(e).map(([r,i])=>` ${r}="${Je(typeof i=="number"?I(i):i)}"`).join("");return n===void 0?
`<${t}${s}/>`:`<${t}${s}>${n}</${t}>`};function Ve(t,e,n,s=new Map){let r={width:Math.ceil(e.w),height:Math.ceil(e.h),viewBox:[e.x,e.y,e.w,e.h].map(I).join(" ")},
i=E("rect",{x:e.x,y:e.y,width:e.w,height:e.h,fill:n}),a=t.map(l=>{let{x:d,y:c}=l.shape;return E("g",{transform:`translate(${I(d)} ${I(c)})`},Dt(l.shape,s)+jt(l))});
return`<?xml version="1.0" encoding="UTF-8"?>
${E("svg",{xmlns:"http://www.w3.org/2000/svg",...r},`
${i}
${a.join(`
`)}
`)}
`}function Dt(t,e){let{kind:n,w:s,h:r,stroke:i}=t,a=se(t.color),l={stroke:a.line,"stroke-width":i,"stroke-linecap":"round","stroke-linejoin":"round"},d={...l,fill:t.
fill==="none"?"none":t.fill==="solid"?a.line:a.tint};if(n==="image"){let h=e.get(t.src);return h===void 0?"":E("image",{width:s,height:r,preserveAspectRatio:"no\
ne",href:h})}if(n==="rect")return E("rect",{width:s,height:r,rx:Math.min(8,s/4,r/4),...d});if(n==="ellipse")return E("ellipse",{cx:s/2,cy:r/2,rx:s/2,ry:r/2,...d});
if(n==="note")return E("rect",{width:s,height:r,rx:4,fill:a.paper});if(n==="draw")return E("path",{d:Bt(t),fill:"none",...l});if(!G(n))return"";let c=n==="arrow"?
we(t).map(({x:h,y:p},f)=>`${f===0?"M":"L"}${I(h)} ${I(p)}`).join(""):"";return E("path",{d:`M0 0L${I(s)} ${I(r)}${c}`,fill:"none",...l})}function Bt(t){let{points:e}=t,
n=U(e),[s,r]=[n.w>0?t.w/n.w:1,n.h>0?t.h/n.h:1],i=c=>[(e[2*c]??0)*s,(e[2*c+1]??0)*r],a=e.length>>1,l=(...c)=>c.map(I).join(" "),d=`M${l(...i(0))}`;if(a<2)return`${d}\
l0.1 0`;for(let c=1;c<a-1;c++){let[[h,p],[f,A]]=[i(c),i(c+1)];d+=`Q${l(h,p,(h+f)/2,(p+A)/2)}`}return`${d}L${l(...i(a-1))}`}function jt(t){let{shape:e}=t;if(!e.text||
!Z(e.kind))return"";let{box:n,lines:s,size:r,top:i,centred:a}=Q(t),l=a?n.x+n.w/2:n.x,d=s.map((h,p)=>E("tspan",{x:l,y:i+p*r*V+r},Je(h))),c={"font-family":ke,"fon\
t-size":r,fill:Xe(e),"xml:space":"preserve"};return E("text",a?{...c,"text-anchor":"middle"}:c,d.join(""))}var qt=5e3,Gt=24;function Ze(t){let e=document.documentElement.dataset.theme==="dark";Be(e);let n=new re,s=t.slice(0,qt);for(let l of s)n.set(String(l.id),l);let r=[
...n.order()],i=Ne(r.map(l=>l.painted));if(!i)return;let a=getComputedStyle(document.documentElement).getPropertyValue("--paper").trim();return{src:`data:image/\
svg+xml,${encodeURIComponent(Ve(r,F(i,Gt),a))}`,drawn:s.length}}var Te=200,Ye=400,zt=2e3,ie=class{constructor(e,n){this.name=e;this.context=n;this.title=`Canvas ${e}`,this.path=`canvases/${y(e)}`,this.pause.onclick=()=>{let r=this.
pause.getAttribute("aria-pressed")==="true";this.pause.setAttribute("aria-pressed",String(!r)),this.pause.textContent=r?"Pause":"Go on"},this.remove.onclick=()=>{
this.empty()};let s=o("button",{testid:"export",onclick:()=>{this.save()}},"Export as JSON");n.session.writes||(this.remove.hidden=!0),this.element=o("div",{},o(
"p",{},o("a",{attrs:{href:"#/canvases"}},"\u2190 All canvases")),o("div",{class:"head"},o("h1",{},e),o("div",{class:"row"},s,this.remove)),this.facts,o("div",{class:"\
halves"},o("section",{attrs:{"aria-label":"Picture"}},o("div",{class:"head"},o("h2",{},"Objects")),this.picture),o("section",{attrs:{"aria-label":"Live tail"}},
o("div",{class:"head"},o("h2",{},"Messages as they come"),this.pause),this.tail)),o("section",{attrs:{"aria-label":"People"}},o("div",{class:"head"},o("h2",{},"\
People")),this.people))}name;context;every=2e3;title;element;path;facts=o("dl",{class:"facts",testid:"canvas-facts"});people=o("div");picture=o("div",{class:"ca\
rd picture",testid:"picture"});tail=o("ol",{class:"tail",testid:"tail",attrs:{tabindex:"0",role:"log","aria-label":"Messages as they come","aria-live":"off"}});pause=o(
"button",{attrs:{"aria-pressed":"false"},testid:"pause"},"Pause");remove=o("button",{class:"danger",testid:"delete"},"Empty this canvas");seen;drawnAt="";size;async refresh(){
let[e,{members:n}]=await Promise.all([g(this.path),g(`${this.path}/members`)]);if(this.showPeople(n),this.pause.getAttribute("aria-pressed")==="false"&&await this.
follow(e),`${e.epoch}.${e.head}`!==this.drawnAt&&e.objects<=zt)await this.draw();else if(this.drawnAt===""){let s=o("button",{onclick:()=>{this.draw()}},`Draw ${u(
e.objects)} objects`);this.picture.replaceChildren(s)}this.facts.replaceChildren(M("People",u(e.members)),M("Objects",u(e.objects)),M("Size of the objects",S(this.
size)),M("Messages so far",u(e.head)),M("Epoch",o("code",{},e.epoch)))}showPeople(e){let{writes:n}=this.context.session,s=this.people.contains(document.activeElement)?
document.activeElement.dataset.client:void 0,r=e.map(({client:a,user:l,away:d,state:c})=>[l.name??"(no name)",o("code",{},a),d?w("away","warn","The connection w\
as lost; it may come back"):w("here","good"),o("code",{class:"cut"},c===void 0?"\u2013":JSON.stringify(c)),...n?[d?void 0:o("button",{class:"danger",attrs:{"dat\
a-client":a,"aria-label":`Disconnect ${l.name??a}`},onclick:()=>{this.disconnect(a,l.name)}},"Disconnect")]:[]]),i=["Name","Client","Here","State",...n?["What t\
o do"]:[]];this.people.replaceChildren($("People on this canvas",i,r,"Nobody is on this canvas.","people")),s&&this.people.querySelector(`[data-client="${CSS.escape(
s)}"]`)?.focus()}async follow({epoch:e,head:n}){this.seen?.epoch!==e&&(this.seen={epoch:e,seq:Math.max(0,n-20)});let s=Math.max(this.seen.seq,n-Te);for(;;)try{let{
messages:r,next:i}=await g(`${this.path}/messages?since=${s}&epoch=${e}&limit=${Te}`);this.seen.seq=i;let a=this.tail.scrollTop+this.tail.clientHeight>this.tail.
scrollHeight-40;for(this.tail.append(...r.map(Wt));this.tail.childElementCount>Te;)this.tail.firstElementChild.remove();a&&(this.tail.scrollTop=this.tail.scrollHeight);
break}catch(r){if(!(r instanceof x&&r.status===410))throw r;if(s>=n)break;s=Math.ceil((s+n)/2)}this.tail.childElementCount===0?this.tail.append(o("li",{class:"h\
int none"},"Nothing was said lately.")):this.tail.childElementCount>1&&this.tail.querySelector(".none")?.remove()}async draw(){let{objects:e,epoch:n,seq:s}=await g(
`${this.path}/objects`);this.drawnAt=`${n}.${s}`,this.size=new Blob([JSON.stringify(e)]).size;let r=Ze(e);if(!r)return this.picture.replaceChildren(o("p",{class:"\
hint"},"There is nothing on it."));let i=new Map;for(let{kind:d}of e)i.set(String(d),(i.get(String(d))??0)+1);let a=[...i].sort((d,c)=>c[1]-d[1]).slice(0,6).map(
([d,c])=>`${u(c)} ${d}`).join(", "),l=e.length-r.drawn;this.picture.replaceChildren(o("img",{attrs:{src:r.src,alt:`The canvas: ${a}`}}),o("p",{class:"hint"},a,l>
0?`; ${u(l)} more are not drawn`:""))}async save(){await this.context.act("The export failed",`Saved ${this.name}.json`,async()=>{let{objects:e,epoch:n,seq:s}=await g(
`${this.path}/objects`),r=JSON.stringify({canvas:this.name,epoch:n,seq:s,objects:e},void 0,1),i=o("a",{attrs:{download:`${this.name.replaceAll(":","_")}.json`}});
i.href=URL.createObjectURL(new Blob([r],{type:"application/json"})),i.click(),setTimeout(()=>URL.revokeObjectURL(i.href),1e4)})}async empty(){let e=`All objects\
 and all chat of ${this.name} are deleted, for everybody and for good. People stay on it. Export it first if in doubt.`;await B(`Empty ${this.name}?`,e,"Empty i\
t")&&await this.context.act("The canvas could not be emptied",`${this.name} is empty`,()=>k("DELETE",this.path))}async disconnect(e,n){let s=n??e;await B(`Disco\
nnect ${s}?`,"Their connection is closed with code 4403: the client library does not come back by itself, but nothing keeps them from joining again.","Disconnec\
t")&&await this.context.act(`${s} could not be disconnected`,`${s} is disconnected`,()=>k("POST",`${this.path}/clients/${y(e)}/disconnect`))}};function Wt(t){let{
type:e,seq:n,from:s,client:r,at:i,op:a,...l}=t,d=JSON.stringify(l),c=d.length>Ye?`${d.slice(0,Ye)}\u2026`:d;return o("li",{},o("span",{class:"seq"},n??""),typeof i==
"number"&&o("span",{class:"seq"},_(i)),o("b",{},e),o("span",{class:"who"},String(s??r??"")),o("code",{},c))}var Ft=50,oe=class{title="Canvases";every=5e3;element;list=o("div");more=o("div",{class:"row pager"});search=o("input",{testid:"search",attrs:{type:"search",id:"\
search",placeholder:"A part of the name",autocomplete:"off",spellcheck:"false"}});people=o("input",{testid:"with-people",attrs:{type:"checkbox",id:"with-people"}});before=[];constructor(){
let e,n=()=>{this.before=[],clearTimeout(e),e=setTimeout(()=>{this.refresh().catch(()=>{})},200)};this.search.oninput=n,this.people.onchange=n,this.element=o("d\
iv",{},o("div",{class:"head"},o("h1",{},"Canvases"),o("div",{class:"row tools"},o("label",{class:"check"},this.people," with people only"),o("label",{class:"sr",
attrs:{for:"search"}},"Find canvases"),this.search)),this.list,this.more)}async refresh(){let[e,n,s]=[this.search.value.trim(),this.people.checked,this.before.at(
-1)??""],{canvases:r,next:i}=await g(`all-canvases?limit=${Ft}&search=${y(e)}&after=${y(s)}&people=${n}`);if(e!==this.search.value.trim()||n!==this.people.checked||
s!==(this.before.at(-1)??""))return;let a=r.map(p=>[o("a",{attrs:{href:`#/canvas/${y(p.canvas)}`}},p.canvas),u(p.members),u(p.objects),S(p.object_bytes),u(p.head)]),
l=e?`No canvas has \u201C${e}\u201D in its name.`:n?"Nobody is on any canvas.":"There are no canvases yet.",d=this.list.contains(document.activeElement)?document.
activeElement?.textContent:void 0;this.list.replaceChildren($("Canvases",["Canvas","People","Objects","Size","Messages so far"],a,l,"canvases")),d&&[...this.list.
querySelectorAll("a")].find(p=>p.textContent===d)?.focus();let c=o("button",{onclick:()=>(this.before.pop(),void this.refresh())},"Back"),h=o("button",{onclick:()=>(i&&
this.before.push(i),void this.refresh())},"More");this.more.replaceChildren(...this.before.length>0?[c]:[],...i?[h]:[])}};var $e=20,ae=class{constructor(e){this.context=e;this.element=o("div",{},o("div",{class:"head"},o("h1",{},"Hooks")),this.list)}context;title="Hooks";every=5e3;element;list=o(
"div",{testid:"hooks"});async refresh(){let e;try{e=await g("hooks")}catch(a){if(!(a instanceof x&&a.status===501))throw a;return this.list.replaceChildren(o("p",
{class:"hint"},a.message))}let n=await Promise.all(e.hooks.map(a=>this.card(a))),s=e.dropped>0?o("p",{class:"banner warn"},`${u(e.dropped)} events had no room i\
n their hook's backlog; a gap stands for them.`):void 0,r=o("p",{class:"hint"},"No hooks. --hooks FILE, or PUT /api/v1/hooks, tells back ends what happens on ca\
nvases."),i=this.list.contains(document.activeElement)?document.activeElement.dataset.press:void 0;this.list.replaceChildren(...s?[s]:[],...n.length>0?n:[r]),i&&
this.list.querySelector(`[data-press="${CSS.escape(i)}"]`)?.focus()}async card(e){let n=e.queue??`scumble.hook.${e.name}`,[s,r,{deliveries:i}]=await Promise.all(
[g(`messages?queue=${y(n)}&limit=${$e}&status=pending`).catch(()=>({messages:[]})),g(`dlq?queue=${y(n)}&limit=${$e}`).catch(()=>({messages:[],total:0})),e.url?g(
`hooks/${y(e.name)}/deliveries?limit=${$e}`):{deliveries:[]}]),a=s.messages.some(m=>et(m)>0),l=e.off!==null?w("off","bad"):r.total>0||a?w("failing","warn"):w("w\
ell","good"),{writes:d}=this.context.session,c=(m,O,ne)=>o("button",{testid:"send-again",attrs:{"data-press":`${m}-${O}`,"aria-label":`Send ${ne} again`},onclick:()=>{
this.sendAgain(e,O,ne)}},"Send again"),h=d&&i.some(m=>m.dead_letter!==null),p=i.map(m=>[o("time",{title:new Date(m.at).toLocaleString(),attrs:{datetime:new Date(
m.at).toISOString()}},ge(m.at)),m.canvas,m.events>1?`${u(m.events)} events`:m.type,o("code",{class:"cut",title:m.id},m.id),u(m.attempt),Ut(m),m.took_ms<1e3?`${m.
took_ms} ms`:v(m.took_ms),...h?[m.dead_letter===null?void 0:c("tried",m.dead_letter,m.id)]:[]]),f=s.messages.map(m=>[o("code",{},m.transactionId),m.partition,u(
et(m)),o("span",{class:"cut"},m.consumerGroups.find(({errorMessage:O})=>O)?.errorMessage??C),q(m.createdAt)]),A=r.messages.map(m=>[o("code",{},m.transactionId),
u(m.attempts),o("span",{class:"cut",title:m.errorMessage},m.errorMessage),q(m.failedAt),...d?[c("dead",m.id,m.transactionId)]:[]]),te=d?["What to do"]:[],pe=(m,O,ne,Ie,ht)=>Ie.
length>0?[o("h3",{},m),$(O,ne,Ie,"",ht)]:[];return o("section",{class:"card hook",attrs:{"aria-label":`Hook ${e.name}`}},o("div",{class:"head"},o("h2",{},e.name,
" ",l),o("span",{class:"hint"},e.url?`posts to ${e.url}`:`into the queue ${n}`)),e.off!==null&&o("p",{class:"banner bad"},`It is off: ${e.off}. Store the hooks \
anew to turn it on.`),o("p",{},"On ",...e.canvases.flatMap((m,O)=>[O>0?", ":"",o("code",{},m)])," it tells of ",e.events.join(", "),"."),...pe("Latest attempts",
`Attempts of ${e.name}`,["Time","Canvas","Event","Delivery","Attempt","Result","Took",...h?te:[]],p,"attempts"),...pe("Waiting",`Waiting deliveries of ${e.name}`,
["Delivery","Canvas","Attempts so far","Last error","Since"],f,"waiting"),...pe(`Given up: ${u(r.total)}`,`Dead deliveries of ${e.name}`,["Delivery","Attempts",
"Last error","Given up",...te],A,"given-up"),f.length+A.length===0&&o("p",{class:"hint"},"Nothing waits, and nothing was given up."))}async sendAgain(e,n,s){let r=`${s}\
 goes to ${e.url??"its queue"} once more, after what waits on its canvas, with all its attempts before it.`;await B("Send this delivery again?",r,"Send again")&&
await this.context.act("It could not be sent again","It waits for its receiver again",()=>k("POST",`dlq/${y(n)}/replay`,{}))}};function Ut({status:t,error:e,outcome:n,
next_at:s}){let r=n==="delivered"?"good":n==="retry"||n==="late"?"warn":"bad",i={delivered:"delivered",retry:s===null?"comes again":s>Date.now()?`again at ${ge(
s)}`:"was due again",dead:"given up",off:"turned the hook off",late:"too late, comes again"};return o("span",{class:"result"},t!==null&&o("code",{},t)," ",w(i[n]??
n,r),e!==null&&o("span",{class:"hint"},e))}var et=({consumerGroups:t})=>Math.max(0,...t.map(({retryCount:e})=>e));function nt(t,e,n){if(!t)return tt("No way in from here",o("p",{testid:"no-way",attrs:{role:"alert"}},e??""));let s=o("input",{testid:"token",attrs:{type:"passw\
ord",id:"token",autocomplete:"current-password",required:"",spellcheck:"false"}}),r=o("button",{class:"primary",testid:"login",attrs:{type:"submit"}},"Log in"),
i=o("p",{class:"wrong",testid:"wrong",attrs:{role:"alert",id:"wrong"}}),a=o("form",{},o("label",{attrs:{for:"token"}},"API token of scope admin"),s,i,r,o("p",{class:"\
hint"},"It is in the server's --api-token-file: the token of a line \u201CNAME admin TOKEN\u201D, or all of the file if it has nothing else. \u201Chead -c 24 /dev/urandom | ba\
se64\u201D makes a new one. It is sent once, and this browser keeps a session of eight hours instead of it."));return a.addEventListener("submit",l=>{l.preventDefault(),
i.textContent="",r.disabled=!0,r.textContent="Checking\u2026",k("POST","session",{token:s.value}).then(n,d=>{i.textContent=d instanceof x?d.message:"The login f\
ailed.",r.disabled=!1,r.textContent="Log in",s.value="",s.focus()})}),tt("scumble dashboard",a)}function tt(t,...e){return o("div",{class:"login"},o("div",{class:"\
card"},o("h1",{},t),...e))}var[Ee,K]=[600,150],[st,Qt,Kt,le]=[4,4,8,4],L=class{element;plot=W("svg",{viewBox:`0 0 ${Ee} ${K}`,preserveAspectRatio:"none","aria-hidden":"true"});readout=o("\
p",{class:"readout"});top=o("span",{class:"axis axis-top"});from=o("span");to=o("span");box;drawing;at;constructor(e,n){let s=W("line",{class:"cursor",y1:0,y2:K,
visibility:"hidden"});this.plot.append(s),this.box=o("div",{class:"plot",attrs:{tabindex:"0",role:"slider","aria-label":e,"aria-valuemin":"0","aria-orientation":"\
horizontal"}},this.plot,this.top),this.element=o("figure",{class:"card chart",testid:n},o("figcaption",{},o("h3",{},e),this.readout),this.box,o("div",{class:"ax\
is-x",attrs:{"aria-hidden":"true"}},this.from,this.to)),this.box.addEventListener("pointermove",r=>{let{left:i,width:a}=this.box.getBoundingClientRect();this.read(
Math.round((r.clientX-i)/a*(this.count-1)))});for(let r of["pointerleave","blur"])this.box.addEventListener(r,()=>this.read(void 0));this.box.addEventListener("\
keydown",r=>{let a={ArrowLeft:-1,ArrowRight:1,PageUp:-10,PageDown:10,Home:-1/0,End:1/0}[r.key];a!==void 0&&(r.preventDefault(),this.read((this.at??this.count-1)+
a))})}get count(){return this.drawing?.at.length??0}draw(e){this.drawing=e;let n=Math.max(0,...e.series.flatMap(({values:d})=>d.map(c=>c??0))),s=e.binary?Jt(n):
ot(n),r=e.series.flatMap(({values:d},c)=>Vt(d,s,c)),i=[.5,1].map(d=>W("line",{class:"grid",x1:0,x2:Ee,y1:_e(s*d,s),y2:_e(s*d,s)})),a=this.plot.querySelector(".c\
ursor");this.plot.replaceChildren(...i,...r,a),this.top.textContent=e.format(s);let l=(e.at.at(-1)??0)-(e.at[0]??0)>12*36e5;this.from.textContent=_(e.at[0]??0,!1)+
(l?" yesterday":""),this.to.textContent="now",this.box.setAttribute("aria-valuemax",String(this.count-1)),this.read(this.at)}read(e){let{drawing:n,count:s}=this;
if(!n||s===0)return;let r=e===void 0?void 0:Math.min(s-1,Math.max(0,e));this.at=r;let i=r??s-1,a=n.series.map(({name:d,values:c})=>({name:d,value:Xt(c[i],n.format)}));
this.readout.replaceChildren(...a.map(({name:d,value:c},h)=>o("span",{class:`key key-${h}`},`${d} `,o("b",{},c))),...r===void 0?[]:[o("span",{class:"when"},_(n.
at[i]??0))]),this.box.setAttribute("aria-valuenow",String(i)),this.box.setAttribute("aria-valuetext",`${_(n.at[i]??0)}: ${a.map(({name:d,value:c})=>`${d} ${c}`).
join(", ")}`);let l=this.plot.querySelector(".cursor");l.setAttribute("visibility",r===void 0?"hidden":"visible");for(let d of["x1","x2"])l.setAttribute(d,String(
it(i,s)))}},Xt=(t,e)=>t==null?"\u2013":e(t),it=(t,e)=>st+t/Math.max(1,e-1)*(Ee-st-Qt),_e=(t,e)=>K-le-t/e*(K-Kt-le),rt=t=>Math.round(t*10)/10;function ot(t){if(t<=
0)return 1;let e=10**Math.floor(Math.log10(t));return e*([1,2,5,10].find(n=>n*e>=t)??10)}function Jt(t){let e=t<1024?1:1024**Math.floor(Math.log2(t)/10);return ot(
t/e)*e}function Vt(t,e,n){let s=[],r;t.forEach((l,d)=>{l===null?r=void 0:(r||s.push(r=[]),r.push([rt(it(d,t.length)),rt(_e(l,e))]))});let i=s.map(l=>`M${l.map(([
d,c])=>`${d} ${c}`).join("L")}${l.length===1?"h1":""}`),a=n>0?[]:s.map(l=>`M${l[0][0]} ${K-le}L${l.map(([d,c])=>`${d} ${c}`).join("L")}L${l.at(-1)[0]} ${K-le}Z`);
return[...a.length>0?[W("path",{class:"area",d:a.join("")})]:[],W("path",{class:`line line-${n}`,d:i.join("")||"M0 0"})]}var at=[["15m","15 minutes"],["3h","3 hours"],["24h","24 hours"]],Zt=["healthy"],Yt=["draining","late","behind","warning"],lt=t=>Zt.includes(t)?"good":Yt.includes(
t)?"warn":"bad",ce=class{title="Overview";every=5e3;element;range=at[0][0];health=o("section",{class:"health",testid:"health",attrs:{"aria-live":"polite"}});tiles=o(
"dl",{class:"tiles",testid:"tiles"});instances=o("div");queue=o("dl",{class:"facts"});charts={messages:new L("Messages a second","chart-messages"),connections:new L(
"Connections","chart-connections"),bytes:new L("Traffic a second","chart-bytes"),delivery:new L("Delivery: from commit to members","chart-delivery"),commit:new L(
"Commit: from arrival to disk","chart-commit"),loop:new L("Event loop lag, of the worst process","chart-loop")};constructor(){let e=at.map(([n,s])=>{let r=o("bu\
tton",{attrs:{"aria-pressed":String(n===this.range)},testid:`range-${n}`},s);return r.onclick=()=>{this.range=n;for(let i of e)i.setAttribute("aria-pressed",String(
i===r));this.refresh().catch(()=>{})},r});this.element=o("div",{},o("h1",{class:"sr"},"Overview"),this.health,this.tiles,o("section",{attrs:{"aria-labelledby":"\
h-lines"}},o("div",{class:"head"},o("h2",{attrs:{id:"h-lines"}},"Over time"),o("div",{class:"choice",attrs:{role:"group","aria-label":"How far back"}},...e)),o(
"div",{class:"charts"},...Object.values(this.charts).map(({element:n})=>n))),o("section",{attrs:{"aria-labelledby":"h-instances"}},o("div",{class:"head"},o("h2",
{attrs:{id:"h-instances"}},"Processes")),this.instances),o("section",{attrs:{"aria-labelledby":"h-queue"}},o("div",{class:"head"},o("h2",{attrs:{id:"h-queue"}},
"Store")),this.queue))}async refresh(){let e=this.range,n=await g(`analytics?range=${e}`);if(e!==this.range)return;this.showHealth(n),this.showTiles(n),this.showCharts(
n),this.instances.replaceChildren(en(n.instances,n.instance_id));let{queue:s}=n;this.queue.replaceChildren(M("Rows in the log",u(s.rows)),M("Not yet processed e\
verywhere",u(s.size)),M("Oldest of them",R(s.oldest_unprocessed_ms)),M("Database",S(s.db_bytes)),M("Write-ahead log",S(s.wal_bytes)),M("Spilled messages",u(s.spilled)))}showHealth({
health:e,instances:n,scope:s,note:r}){let i=n.filter(({todo:f})=>f),a=e.state!=="healthy"?e.state:e.ready?i.length>0?"warning":"healthy":"not ready",l={healthy:`\
All is well: ${u(n.length)} ${n.length===1?"process":"processes"}, nothing falls behind`,warning:e.state==="warning"?"The queue falls behind":"A process needs a\
 look",critical:"The relay is in trouble"},d=new Set([e.reason,e.cause,...i.map(({instance_id:f,state:A})=>`${f} is ${A}`)].filter(Boolean)),c=new Set([e.todo,...i.
map(f=>f.todo)].filter(Boolean)),h=lt(a),p=o("div",{class:`banner ${h}`},o("strong",{},l[a]??"This process takes no clients now"),...[...d].map(f=>o("p",{},f)),
...[...c].map(f=>o("p",{class:"todo"},`What to do: ${f}`)),s==="process"&&r?o("p",{testid:"note"},r):void 0);this.health.textContent!==p.textContent&&this.health.
replaceChildren(p)}showTiles({live:e,connections:n,instances:s}){let r=(i,a,l,d)=>o("div",{class:"card tile",testid:d},o("dt",{},i),o("dd",{},o("b",{},a),o("sma\
ll",{},l)));this.tiles.replaceChildren(r("Connections",u(n),`on ${u(s.length)} ${s.length===1?"process":"processes"}`,"tile-connections"),r("Messages",`${j(e.messages_per_second)}\
/s`,`${j(e.deliveries_per_second)}/s delivered`,"tile-messages"),r("Traffic",`${S(e.sent_bytes_per_second)}/s`,`${S(e.received_bytes_per_second)}/s received`,"t\
ile-bytes"),r("Delivery p99",v(e.delivery.p99_ms),`median ${v(e.delivery.p50_ms)}`,"tile-delivery"),r("Commit p99",v(e.commit.p99_ms),`median ${v(e.commit.p50_ms)}`,
"tile-commit"),r("Refused",u(e.refusals),`${u(e.joins)} joined, last minute`,"tile-refused"))}showCharts({history:e}){let{at_ms:n,step_ms:s}=e,r=a=>a.map(l=>l*1e3/
s),i=(a,l,...d)=>a.draw({at:n,format:l,binary:a===this.charts.bytes,series:d.map(([c,h])=>({name:c,values:h}))});i(this.charts.messages,j,["delivered",r(e.deliveries)],
["committed",r(e.messages)]),i(this.charts.connections,u,["connections",e.connections]),i(this.charts.bytes,a=>`${S(a)}/s`,["sent",r(e.bytes_out)],["received",r(
e.bytes_in)]),i(this.charts.delivery,v,["p99",e.delivery_p99_ms],["median",e.delivery_p50_ms]),i(this.charts.commit,v,["p99",e.commit_p99_ms],["median",e.commit_p50_ms]),
i(this.charts.loop,v,["lag",e.event_loop_lag_ms])}};function en(t,e){let n=["Process","State","Connections","Canvases","Messages/s","Lag","Event loop","Writer",
"Commit p99","Heartbeat","Up for","Pid","Version"],s=t.map(r=>[o("span",{},r.instance_id,r.instance_id===e?o("small",{class:"hint",title:"This page is from that\
 process"}," this one"):void 0),w(r.state,lt(r.state),r.trouble??r.todo??void 0),u(r.connections),u(r.rooms),j(r.messages_per_second),`${u(r.lag)} rows`,v(r.event_loop_lag_ms),
u(r.writer_depth),v(r.commit_p99_ms),`${R(r.heartbeat_age_ms)} ago`,R(r.uptime_ms),String(r.pid),r.version]);return $("Processes of this relay",n,s,"No process \
has registered yet.","processes")}var de=20,ct=t=>t===void 0?C:`${j(t)}/s`,ue=class{constructor(e){this.context=e;for(let r of[this.which,this.of])r.onchange=()=>{this.offset=0,this.refresh().catch(
()=>{})};let n=(r,...i)=>o("section",{attrs:{"aria-label":r}},...i),s=(r,...i)=>o("div",{class:"head"},o("h2",{},r),...i);this.element=o("div",{},o("div",{class:"\
head"},o("h1",{},"Queues")),n("Queues",this.queues),n("Consumer groups",s("Consumer groups"),this.groups),n("Dead letters",s("Dead letters",o("div",{class:"row \
tools"},this.of,this.which)),this.dead,this.pager))}context;title="Queues";every=5e3;element;queues=o("div");groups=o("div");dead=o("div");pager=o("div",{class:"\
row pager"});which=o("select",{testid:"dead-which",attrs:{"aria-label":"Which of the dead letters"}},o("option",{attrs:{value:"false"}},"Not reviewed"),o("optio\
n",{attrs:{value:"true"}},"Reviewed"),o("option",{attrs:{value:""}},"All"));of=o("select",{testid:"dead-of",attrs:{"aria-label":"Of which queue"}},o("option",{attrs:{
value:""}},"All queues"));offset=0;before=new Map;async refresh(){let e=`dlq?limit=${de}&offset=${this.offset}${this.which.value?`&reviewed=${this.which.value}`:
""}${this.of.value?`&queue=${y(this.of.value)}`:""}`,[{queues:n},s,r]=await Promise.all([g("queues"),g("consumer-groups"),g(e)]);this.showQueues(n),this.showGroups(
s),this.showDead(r.messages,r.total)}rates({name:e,pushed:n,completed:s}){let[r,i]=[Date.now(),this.before.get(e)];if(i&&r-i.at<2e3)return[void 0,void 0];if(this.
before.set(e,{at:r,pushed:n,completed:s}),!i)return[void 0,void 0];let a=(r-i.at)/1e3;return[Math.max(0,n-i.pushed)/a,Math.max(0,s-i.completed)/a]}showQueues(e){
let n=e.map(i=>{let[a,l]=this.rates(i);return[i.name,u(i.pending),u(i.inFlight),i.dead>0?w(u(i.dead),"bad"):"0",R(i.oldestAgeSeconds===null?null:i.oldestAgeSeconds*
1e3),ct(a),ct(l),v(i.waitTime.p50Ms),v(i.waitTime.p99Ms),v(i.processingTime.p50Ms),u(i.partitions),S(i.bytes)]}),s=["Queue","Waiting","In flight","Dead","Oldest",
"Pushed","Completed","Wait, median","Wait p99","Work, median","Partitions","Size"];this.queues.replaceChildren($("Queues",s,n,"There are no queues. POST /api/v1\
/push makes one.","queues"));let r=e.map(({name:i})=>i);if([...this.of.options].slice(1).map(({value:i})=>i).join(`
`)!==r.join(`
`)){let i=this.of.value;this.of.replaceChildren(this.of.options[0],...r.map(a=>o("option",{attrs:{value:a}},a))),this.of.value=r.includes(i)?i:""}}showGroups(e){
let n=e.map(s=>[s.name,s.queueName,w(s.state.toLowerCase(),s.state==="Stable"?"good":"warn"),u(s.waiting),R(s.maxTimeLag*1e3),u(s.inFlight),u(s.completed),q(s.lastSeenAt)]);
this.groups.replaceChildren($("Consumer groups",["Group","Queue","State","Lag","Lag in time","In flight","Completed","Last seen"],n,"Nobody has read a queue yet\
.","groups"))}showDead(e,n){let{writes:s}=this.context.session,r=new Set([...this.dead.querySelectorAll("details[open]")].map(({dataset:c})=>c.id)),i=this.dead.
contains(document.activeElement)?document.activeElement.dataset.press:void 0,a=e.map(c=>{let h=o("details",{attrs:{"data-id":c.id,...r.has(c.id)?{open:""}:{}}},
o("summary",{attrs:{"data-press":`open-${c.id}`}},"Message"),o("pre",{attrs:{tabindex:"0"}},JSON.stringify(c.data,void 0,2))),p=(f,A,te)=>o("button",{attrs:{"da\
ta-press":`${A}-${c.id}`,"aria-label":`${f} ${c.transactionId}`},testid:A,onclick:te},f);return o("li",{class:"card letter",testid:"letter"},o("div",{class:"hea\
d"},o("div",{},o("strong",{},c.errorMessage||"It failed without a word"),o("p",{class:"hint"},`${c.queue} / ${c.partition}, group ${c.consumerGroup}: ${u(c.attempts)}\
 ${c.attempts===1?"attempt":"attempts"}, died ${q(c.failedAt)}, pushed ${q(c.createdAt)}`)),o("div",{class:"row"},c.reviewed&&w("reviewed","plain"),s&&!c.reviewed&&
p("Mark as reviewed","review",()=>{this.review(c)}),s&&p("Replay","replay",()=>{this.replay(c)}))),o("code",{class:"hint"},c.transactionId),h)});this.dead.replaceChildren(
a.length>0?o("ul",{class:"letters"},...a):o("p",{class:"hint",testid:"no-letters"},"No dead letters here.")),i&&this.dead.querySelector(`[data-press="${CSS.escape(
i)}"]`)?.focus();let l=c=>()=>{this.offset=Math.max(0,this.offset+c),this.refresh().catch(()=>{})},d=this.offset+e.length;this.pager.replaceChildren(...n>de?[o(
"span",{class:"hint"},`${u(e.length>0?this.offset+1:0)} to ${u(d)} of ${u(n)}`)]:[],...this.offset>0?[o("button",{onclick:l(-de)},"Back")]:[],...d<n?[o("button",
{onclick:l(de)},"More")]:[])}review(e){return this.context.act("It could not be marked","Marked as reviewed",()=>k("POST",`dlq/${y(e.id)}/reviewed`,{}))}async replay(e){
let n=`It goes back into ${e.queue} for the group ${e.consumerGroup}, with all its attempts before it.`;await B("Replay this message?",n,"Replay")&&await this.context.
act("It could not be replayed","It is in its queue again",()=>k("POST",`dlq/${y(e.id)}/replay`,{}))}};var Ce="scumble.theme";function tn(){try{return localStorage.getItem(Ce)}catch{return null}}function dt(t){let e=matchMedia("(prefers-color-scheme: dark)"),n=()=>(tn()??
(e.matches?"dark":"light"))==="dark",s=()=>{document.documentElement.dataset.theme=n()?"dark":"light",t.textContent=n()?"Light":"Dark",t.title=n()?"Change to li\
ght colours":"Change to dark colours"};t.onclick=()=>{let r=n()?"light":"dark";try{r==="dark"===e.matches?localStorage.removeItem(Ce):localStorage.setItem(Ce,r)}catch{}
document.documentElement.dataset.theme=r,s()},e.addEventListener("change",s),s()}var nn=[["","Overview"],["canvases","Canvases"],["queues","Queues"],["hooks","Hooks"]],T,z,Y=0,Pe,me=0,ee=b("main"),X=b("notice");function D(t,e="bad"){X.hidden=
!t,X.className=`notice ${e}`,t!==X.textContent&&(X.textContent=t??"")}function sn([t,e],n){return t==="canvases"?new oe:t==="canvas"&&e?new ie(e,n):t==="queues"?
new ue(n):t==="hooks"?new ae(n):new ce}var rn=()=>location.hash.replace(/^#\/?/,"").split("/").map(t=>{try{return decodeURIComponent(t)}catch{return t}}),on=()=>({
session:T,async act(t,e,n){try{return await n(),fe(e),D(e,"good"),setTimeout(()=>X.textContent===e&&D(void 0),6e3),!0}catch(s){return D(`${t}: ${s instanceof Error?
s.message:String(s)}`),!1}finally{ut(0)}}});function ut(t){clearTimeout(Pe),Pe=setTimeout(()=>{Ae()},t)}async function Ae(){let[t,e]=[z,Y];if(!(!t||document.hidden)){
try{if(await t.refresh(),e!==Y)return;me=Date.now(),X.className.includes("bad")&&D(void 0)}catch(n){if(e!==Y)return;let s=me>0?` What is shown is of ${_(me)}.`:
"";D(`${n instanceof Error?n.message:String(n)}${n instanceof x&&n.status===404?"":s}`)}ut(t.every)}}function mt(){if(!T?.open)return;let t=rn();Y++,me=0,D(void 0),
z=sn(t,on()),document.title=`${z.title} \xB7 scumble dashboard`,ee.replaceChildren(z.element);let e=t[0]==="canvas"?"canvases":t[0];for(let n of b("nav").querySelectorAll(
"a"))n.hash===`#/${e}`?n.setAttribute("aria-current","page"):n.removeAttribute("aria-current");Ae()}function an(t){if(b("top").hidden=!t,!t||!T)return;b("nav").
replaceChildren(...nn.map(([n,s])=>o("a",{attrs:{href:`#/${n}`},testid:`nav-${n||"overview"}`},s)));let e=b("mode");e.textContent=T.writes?"writes on":"read-onl\
y",e.title=T.writes?"Started with --admin-writes":"Start the server with --admin-writes to disconnect, delete, review and replay",b("logout").hidden=!T.tokens}async function he(){
z=void 0,Y++,clearTimeout(Pe),D(void 0);let t;try{T=await g("session")}catch(e){T=void 0,t=e instanceof Error?e.message:String(e)}if(an(T?.open??!1),T?.open){mt(),
T.tokens||D("This server has no API tokens: whoever has an account on this host may look here. --api-token-file asks for a login.","warn");return}document.title=
"Log in \xB7 scumble dashboard",ee.replaceChildren(nt(T,t,()=>{he()})),ee.querySelector("input")?.focus()}Oe(()=>{he()});b("logout").onclick=()=>{k("DELETE","se\
ssion").catch(()=>{}).then(he)};dt(b("theme"));addEventListener("hashchange",()=>{mt(),z&&(ee.focus(),fe(z.title))});document.addEventListener("visibilitychange",
()=>document.hidden||void Ae());document.querySelector(".skip").onclick=t=>{t.preventDefault(),ee.focus()};he();
//# sourceMappingURL=admin.js.map
