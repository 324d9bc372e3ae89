"""Invented voices: Debian's espeak-ng and festival speak for training, as speakers beside the real ones.

The sample conversation of the tree is spoken by flite slt, rms and awb, festival kal_diphone, espeak-ng en-us+f3 and
en-gb+m7. To be an honest test they are held out: so are f3 and m7 in every other language, and flite's own kal, kal16
and awb_time, which are recordings of the same people. What is left: some ninety variants of espeak-ng (formants, voice
quality), each at two pitches, and festival's ked and its voices of other languages (diphones, clunits, HTS: other
techniques make other voices), which read their own languages.

A synthetic speaker is a variant with a pitch; it speaks several languages' sounds at several speeds, so that neither the
accent nor the pace identifies it. All read the same kind of sentences, by the spelling rules of whatever language.
"""

import re
import subprocess

import numpy as np
import scipy.signal
import soundfile

RATE = 16000
LANGUAGES = ["en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-029", "de", "fr-fr", "es", "it", "pl", "pt-br", "nl",
             "sv", "tr", "cs", "fi", "hu", "ro", "id", "sw"]
FLITE_HELD_OUT = ["slt", "rms", "awb"]
ESPEAK_HELD_OUT = {"f3": "en-us", "m7": "en-gb"}

SENTENCES = """
The train to the coast leaves at half past seven, so we should pack tonight.
I asked her twice whether the door was locked, and twice she said yes.
Nobody remembers who built the bridge, but everyone crosses it.
Could you send me the figures for March before lunch?
Rain fell on the roof all night and the cellar filled with water.
He plays the cello badly and with enormous joy.
We have three options, and I do not like any of them.
My grandmother kept bees behind the old school.
Turn left at the church, then follow the river until you smell bread.
That is not what I meant; let me say it another way.
The budget was approved in June, but the money never came.
Green apples, yellow pears, a pound of plums and some walnuts, please.
When the music stopped, the whole room was looking at us.
Our new printer hates me and everything I stand for.
It takes forty minutes by bicycle and an hour by car.
She laughed so loudly that the pigeons left the square.
I think the second design is lighter, but is it strong enough?
Every winter the lake freezes and the children skate to school.
Okay, but who is going to tell him?
The doctor looked at the picture for a long time and said nothing.
Let us begin with the minutes of the last meeting.
You put the salt in first, then the flour, and never the other way round.
There were fifteen of them yesterday and now I can only count nine.
Honestly, the film was too long, though I enjoyed the beginning.
A small grey cat sleeps on the engine of my neighbour's truck.
The judge closed the file, took off her glasses and sighed.
What happens if the temperature drops below zero during the night?
Yes, exactly, that is the point I was trying to make.
The museum is closed on Mondays, except in August.
They moved to the mountains because the air was good for his lungs.
""".strip().splitlines()

# festival's voices: the encoding of their text, and what they read
ITALIAN = """
Il treno per il mare parte alle sette e mezza, quindi prepariamo le valigie stasera.
Nessuno ricorda chi ha costruito il ponte, ma tutti lo attraversano.
La pioggia cadeva sul tetto tutta la notte e la cantina era piena di acqua.
Abbiamo tre possibilità e nessuna mi piace davvero.
Gira a sinistra dopo la chiesa e segui il fiume fino al mulino.
Mia nonna teneva le api dietro la vecchia scuola del paese.
Il dottore guardava la fotografia e non diceva niente.
Va bene, ma chi lo dice a lui domani mattina?
"""
CZECH = """
Vlak k moři odjíždí v půl osmé, takže si zabalíme dnes večer.
Nikdo si nepamatuje, kdo postavil ten most, ale každý přes něj chodí.
Celou noc pršelo na střechu a sklep byl plný vody.
Máme tři možnosti a žádná se mi nelíbí.
U kostela odboč doleva a jdi podél řeky až k mlýnu.
Moje babička chovala včely za starou školou.
Doktor se dlouho díval na obrázek a neřekl nic.
Dobře, ale kdo mu to zítra ráno řekne?
"""
FINNISH = """
Juna merelle lähtee puoli kahdeksalta, joten pakkaamme tavarat tänä iltana.
Kukaan ei muista kuka sillan rakensi, mutta kaikki kulkevat sen yli.
Sade ropisi kattoon koko yön ja kellari täyttyi vedestä.
Meillä on kolme vaihtoehtoa enkä pidä niistä yhdestäkään.
Käänny vasemmalle kirkon luona ja seuraa jokea myllylle asti.
Isoäitini piti mehiläisiä vanhan koulun takana.
Lääkäri katsoi kuvaa pitkään eikä sanonut mitään.
Hyvä on, mutta kuka kertoo sen hänelle huomenna?
"""
RUSSIAN = """
Поезд к морю отправляется в половине восьмого, поэтому соберем вещи сегодня вечером.
Никто не помнит, кто построил этот мост, но все по нему ходят.
Всю ночь дождь стучал по крыше, и подвал наполнился водой.
У нас есть три возможности, и ни одна мне не нравится.
Поверните налево у церкви и идите вдоль реки до мельницы.
Моя бабушка держала пчел за старой школой.
Доктор долго смотрел на снимок и ничего не сказал.
Хорошо, но кто скажет ему об этом завтра утром?
"""
CATALAN = """
El tren cap a la costa surt a dos quarts de vuit, hem de preparar les maletes.
Ningú no recorda qui va construir el pont, però tothom el travessa.
Va ploure tota la nit damunt la teulada i el celler es va omplir.
Tenim tres opcions i no me n'agrada cap.
Gira a l'esquerra a l'església i segueix el riu fins al molí.
La meva àvia tenia abelles darrere l'escola vella.
El metge va mirar la foto una bona estona i no va dir res.
D'acord, però qui li ho dirà demà al matí?
"""
HINDI = """
मैं कल सुबह बाज़ार जाऊँगा और फल खरीदूँगा।
रेल गाड़ी साढ़े सात बजे चलती है, इसलिए हम आज रात सामान बाँध लेंगे।
सारी रात छत पर पानी गिरता रहा।
हमारे पास तीन रास्ते हैं और मुझे एक भी पसंद नहीं।
मेरी दादी पुराने विद्यालय के पीछे रहती थीं।
ठीक है, लेकिन उसे कल कौन बताएगा?
"""
FESTIVAL = {"lp_diphone": ("iso-8859-15", ITALIAN), "pc_diphone": ("iso-8859-15", ITALIAN),
            "czech_dita": ("iso-8859-2", CZECH), "czech_krb": ("iso-8859-2", CZECH),
            "czech_machac": ("iso-8859-2", CZECH), "czech_ph": ("iso-8859-2", CZECH),
            "hy_fi_mv_diphone": ("iso-8859-15", FINNISH), "suo_fi_lj_diphone": ("iso-8859-15", FINNISH),
            "msu_ru_nsh_clunits": ("utf-8", RUSSIAN), "upc_ca_ona_hts": ("iso-8859-15", CATALAN),
            "hindi_NSK_diphone": ("utf-8", HINDI)}


def variants():
    """Names of espeak-ng's variants, as in -v en+NAME."""
    table = subprocess.run(["espeak-ng", "--voices=variant"], capture_output=True, text=True, check=True).stdout
    return sorted(set(re.findall(r"!v/(\S+)", table)) - {"fast", "Mr", *ESPEAK_HELD_OUT})


def clean(path):
    """Brings a synthesizer's file to 16 kHz mono in place and checks that it holds sound."""
    audio, rate = soundfile.read(path, dtype="float32")
    if rate != RATE:
        step = np.gcd(RATE, rate)
        audio = scipy.signal.resample_poly(audio, RATE // step, rate // step)
    if len(audio) < RATE or np.abs(audio).max() < 0.01:
        return False
    soundfile.write(path, np.clip(audio, -1, 1), RATE)
    return True


def say(command, path, text=None):
    """`text`: bytes for standard input."""
    subprocess.run(command, input=text, check=True, capture_output=True)
    return clean(path)


def speak(folder):
    """-> [(speaker, path, held out)]; makes what is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []

    def utterances(name, count, held, command, sentences=SENTENCES):
        """`command(text, path, rng)` -> argument list and standard input."""
        rng = np.random.default_rng(list(name.encode()))
        for i in range(count):
            text = " ".join(rng.choice(sentences, 3, replace=False))
            path = folder / f"{name}-{i}.wav"
            arguments, stdin = command(text, path, rng)
            if path.exists() or say(arguments, path, stdin):
                made.append((name, path, held))

    def espeak(voice, pitch, languages):
        return lambda text, path, rng: (["espeak-ng", "-v", f"{rng.choice(languages)}+{voice}", "-p", str(pitch),
                                         "-s", str(rng.integers(130, 200)), "-w", str(path), text], None)

    def festival(voice, encoding="utf-8"):
        return lambda text, path, rng: (["text2wave", "-eval", f"({voice})", "-o", str(path)], text.encode(encoding))

    for voice in variants():
        for pitch in (32, 62):
            utterances(f"espeak-{voice}-{pitch}", 4, False, espeak(voice, pitch, LANGUAGES))
    utterances("festival-ked", 6, False, festival("voice_ked_diphone"))
    for voice, (encoding, lines) in FESTIVAL.items():
        utterances(f"festival-{voice}", 8, False, festival(f"voice_{voice}", encoding), lines.strip().splitlines())
    utterances("festival-kal", 6, True, festival("voice_kal_diphone"))
    for voice in FLITE_HELD_OUT:
        utterances(f"flite-{voice}", 6, True,
                   lambda text, path, rng: (["flite", "-voice", voice, "-t", text, "-o", str(path)], None))
    for voice, language in ESPEAK_HELD_OUT.items():
        utterances(f"espeak-{language}-{voice}", 6, True, espeak(voice, 50, [language]))
    return made
