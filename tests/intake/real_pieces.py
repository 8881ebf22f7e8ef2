"""SentencePiece models as the package sentencepiece 0.2.3 wrote them, compressed; trained on made-up lines of 17 words.

`UNIGRAM`: model_type unigram, three rules of normalisation of its own (so a small charsmap), samples to test itself.
`BPE`: model_type bpe, normalization_rule_name identity.
"""

import base64
import zlib

_UNIGRAM = (
    "c-mdm2~<>79LMnohz(a3MgMA6W@#H06T?<Sij~=7nWeT^*#Hlk7zUaJNK(P0LIiFpq)o0snh<6SR8S<9mDz5#*@8-"
    "Yq_o&(eaFk3PR*ImdB6KV_rCY;efK>Tt-"
    "{lNuDtPL@EaMbB2`$rr@s}ZqSSzN>%YxN72aK2o@A3<Io3`Uqb#(F?9L)n#^zCoQUfU@SZy*z5<1mj6+!brTXRosh2+;$iB`u^$u97iQl4fD4#"
    ";tMWl3{la6p$o)91>S*vU!3N>5!wkH1N#4@n7LwAk)7-O?l}!E+?WCrh_IB{;%m?`q+$=1oiORKryamEQKo-"
    "i}qh9o77$YJF<(Ou2Snt|@JYQiDUYoDP>GOJ*LX5~~JLDRi42kI!vNTwiK%4t94@fgIeE)~PHiq)?WXWOOQ}!nlMa&FRnWjk33t9HBzHTBLMt#"
    "<9-HGJ3vFiL#?ir+6_J=s|&bS{C-_x&~=lq<a+0)QbL7`K7N?7c-"
    "@{N~au2tJW!7_SN(cXVuG=>dZrsam#g&1lhSlC#&SG)G0}#Yjw(!?RCMqRLhLjx>_Jd*63stzh5V>OjxUvQ}(aZ$tR09=#(pQn{;x??s}aZQrM"
    "`IM}}?I$t|s0bSjcrTXnL_(I%Zt+4!iw8`fMVZOaI*zt^-okF{eH)KIH8ztEb?mauvX^Q~F&-"
    "V$%@|B9Y`yVE%`WK3#hs4=S5q9T1B(>*)e%yGEP?ARKMF(9zTLyU=0Mj)1ToD^sqWlfe)qdeR&29hHvSTG0*bTuLogJ=xFU<^ep0&mSQjKFXlA"
    "9#sy0!ATli4$=$M&lHW!C0J%(=ZNa;B=gYGjTTJa4yb)74b;Gc}Ro}$w)#fQg8vz$Aw74MM%d4jK@S|;1XPnNw^e~aT%__<+uu0;%ZF6R9u5;x"
    "E9yrI?TXy+<=+52{&REZpN*+1+#G*?6@6S$b^Y(<RS+S+<`pYiF`Ow02l5;Av|!y2QP|Igu79KQp~|z+=Ka;hw{J!$BrKjV*$rSScnQN#=WS-e"
    "W*eWs<9MHupG;9KUQEBR-z8ISd9npAlBd^_^}Rau>tF`2^-"
    "OXdOVCqY{6!1#Up4&6I#&A#(Iq7Haw2)coI*b6;I)5wBcDigATOgc|3;~(21_V8sH_oh@E&Dui_Q#!fV)#*YPIaz}t8W@8TWo!F$+?_wgY<z{m"
    "Iq`|t@q!>9NHpJP9|aS#XaC3^5RzQVWo2H)emz})cz4uMB!^x-gm#!vVazu-3<!5{b?f8kI3jiZ70$7*8_<~R)7i2r^(+&-u2iT8Sn{sFyRiT("
)
_BPE = (
    "c-mEzPe@cz6vn4fYrI;@WFgVQMT-"
    "{UNGh}#LZL;A7A{(}2y&bmrlIlqnD<5vT4+Q`NJx}P3?We>VI>hEp*8OsArT=F5fLFGLpxix?0nyS*Jzl<@BF{#ynC+Nr|Oa==hDdo5&5-"
    "7Rimm&dZARK_Nv-s;-6TrqQhATW585FaO^FxNNok^1AB;F$Kg;>4XSo?dVE-"
    "f*@_gX6M?1*O{oHNZd6p0ioq{bM1s&)uZYwf$YFMiw6*k9#I`^+t9m0=r*DX+BS6W_5ULYBB<ZtBXy^~rKDCDut*%YFy)cfWTC<40$P>&nP!gO"
    "XIyu1^n{u^`jso;BP@-wxo@%umY8Dwck`i39#j5unqxnE7RpV!i!fQ4q9oKCZajcdXMDr~OXETyA0UJ!)-"
    "Yxhm2<O`=!f#unleRysky?F@aq7^|5usM2pcpvmm<|g%R@12MV3y}Fe2UvElkyj_#rlhNd*!ZZTD3Z;nsziho`*Fr3MSY_OykZRA?8r%C^4TFJ"
    "Z2Eb>mYibV3$2Mrg_2&t_Vqu<~$F{dvrKJ=08QZREZT%Q^-54amM!L^2YWtOj1xftHUYh!q9WJ&vYS-Kd)6>HJErC*3ZNC;<IFk!?<b}?TKh8="
    "<sIs7HM^@mD}Q5tDoggjWSJVyWkZwK-|VLViq^#szGGFW)P#gZpI3S31T5Hc+()ZZ<6T1;g&%-Oc95W;Wp7l-"
    "aEu1!lupFz?^4@C47tf2JyMd1`+naOaLWj`F&&)gddWnL*YkS#ndkJJx7A?JPE~~kdSJDgkwD;q0%A=<zJ9+rk5nl?G*{LS|VZ6uUXmL#${^p9"
    "p8}9eT9VANRzsR-mwWjJMS58-"
    "kdeEd2K$>IV1GZ6yO8$iCQ$g&J=thK2td&^u;9L`hPWS)|(#q+}}yq<R2s~@lTTqJG^0PaVIy!#;|@{bjDItNxgU%bi7;bPxymwA}6m#!gB``>"
    "2`nAkGK4<9B{K2@|o6X+vr3zG82s)YE-d&ChPcl|8hL?7vDIe!2"
)
UNIGRAM, BPE = (zlib.decompress(base64.b85decode(text)) for text in (_UNIGRAM, _BPE))
