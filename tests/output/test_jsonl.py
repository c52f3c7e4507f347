"""JSON Lines keep their schema: these lines are a contract, add to them and change nothing."""

from __future__ import annotations

import base64
import json
import os
import typing
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from chueok.measures import ModelEvaluated
from chueok.output.base import Progress, Record
from chueok.output.jsonl import as_fields, as_line
from chueok.records import Match, Note, Plan, ScanStarted

Piped = Callable[..., tuple[bytes, str]]
Records = tuple[Record, ...]

FACE = '"face":{"id":17,"box":[10.0,20.0,130.4,150.0],"probability":0.9981}'
LINES = (
    '{"schema":1,"type":"indexed","path":"a.jpg","status":"new","faces":2,"error":null}',
    '{"schema":1,"type":"indexed","path":"b.jpg","status":"failed","faces":0,"error":"it is empty"}',
    '{"schema":1,"type":"summary","command":"index","photos":2,"new":1,"changed":0,"moved":0,"unchanged":0,'
    '"failed":1,"damaged":0,"faces":2,"missing":0,"pruned":0,"left":0,"seconds":4.2,"unreachable":0,'
    '"dry_run":false}',
    '{"schema":1,"type":"match","path":"a.jpg","similarity":0.713,"threshold":0.42,"person":"mom",'
    '"model":"lite",' + FACE + ',"taken_at":"2019-05-02T10:11:12","reference":"ref.jpg"}',
    '{"schema":1,"type":"summary","command":"find","people":["mom"],"photos":1,"faces":61,"threshold":0.42,'
    '"threshold_origin":"lite at FAR 1e-3","seconds":0.031,"beyond_limit":0}',
    '{"schema":1,"type":"lookalike","rank":1,"name":"김민지","similarity":0.62,"percent":81.0,'
    '"percentile":99.4,"reference":"people/김민지.jpg",' + FACE + "}",
    '{"schema":1,"type":"summary","command":"lookalike","probe":"selfie.jpg","people":75,"pictures":80,'
    '"unusable":2,"model":"lite","seconds":0.15}',
    '{"schema":1,"type":"enrolled","name":"mom","path":"ref.jpg",' + FACE + ',"already_known":false}',
    '{"schema":1,"type":"summary","command":"enroll","name":"mom","references":1,"already_known":0,'
    '"seconds":0.4}',
    '{"schema":1,"type":"person","name":"mom","references":[{"path":"ref.jpg","face":3}],'
    '"enrolled_at":"2019-05-02T10:11:12"}',
    '{"schema":1,"type":"planned","path":"a.jpg","target":"out/a.jpg","step":"transfer","displaced":null,'
    '"note":null}',
    '{"schema":1,"type":"collected","path":"a.jpg","target":"out/a.jpg","step":"transfer","displaced":null,'
    '"note":null,"error":null}',
    '{"schema":1,"type":"summary","command":"collect","transfer":"copy","destination":"out","done":12,'
    '"already_there":3,"skipped":0,"failed":1,"manifest":null,"put_back":false,"dry_run":false}',
    '{"schema":1,"type":"verdict","number":1,' + FACE + ',"matched":true,"similarity":0.71,"threshold":0.42,'
    '"reference":"ref.jpg","runner_up":"dad","runner_up_similarity":0.2,"margin":0.51}',
    '{"schema":1,"type":"status","library":"lib","model":"lite","albums":[{"path":"Photos","photos":12,'
    '"missing":1,"failed":1,"faces":40,"present":false}],"photos":12,"pictures":11,"faces":40,"people":1,'
    '"failures":[{"path":"Photos/b.jpg","status":"failed","reason":"it is empty"}],'
    '"catalog_bytes":12345678,"index_bytes":900,"index_state":"ready","last_scan":"2019-05-02T10:11:12",'
    '"scan_running":false,"calibration":null}',
    '{"schema":1,"type":"model","name":"lite","description":"small","dimension":128,"licence":"MIT",'
    '"size":1262733,"sha256":"ab","url":null,"installed":true,"current":true,"thresholds":{"1e-3":0.335}}',
    '{"schema":1,"type":"evaluation","dataset":"faces/lfw","model":"lite","sha256":"ab","pictures":1583,'
    '"people":749,"faceless":["Kim_0001.jpg"],"unreadable":[],'
    '"pairs":{"positive":599,"negative":599,"no_face":2},"accuracy":0.9192,"accuracy_by":"folds",'
    '"threshold":0.3,"precision":0.93,"recall":0.905,"f1":0.9173,"eer":0.081,"auc":0.971,'
    '"tar_at_far":{"1e-2":0.712,"1e-3":0.5,"1e-4":null,"1e-5":null},'
    '"threshold_at_far":{"1e-2":0.457,"1e-3":0.568,"1e-4":null,"1e-5":null},"genuine_pairs":2800,'
    '"impostor_pairs":1247000,"rank1":0.8,"probes":1100,"ms_per_face":2.41,"seed":7,'
    '"intervals":{"accuracy":[0.901,0.935],"1e-2":[0.68,0.74]},"sliced_at":0.568,'
    '"slices":[{"by":"face size","kind":"below 64 pixels","genuine":100,"impostors":20000,"tar":0.41,"far":0.0012},'
    '{"by":"age","kind":"(none)","genuine":0,"impostors":7,"tar":null,"far":0.0}],'
    '"hardest":[{"pictures":["Kim/1.jpg","Kim/2.jpg"],"people":["Kim","Kim"],"similarity":0.0123},'
    '{"pictures":["Kim/1.jpg","Lee/1.jpg"],"people":["Kim","Lee"],"similarity":0.71}],'
    '"roc":[[2.4e-05,0.31],[1.0,1.0]]}',
    '{"schema":1,"type":"comparison","dataset":"faces/lfw","model":"lite","baseline":"mobilefacenet","changes":'
    '{"accuracy":{"change":-0.01,"interval":[-0.02,-0.005]},"eer":{"change":-0.02,"interval":[-0.03,-0.01]},'
    '"1e-2":{"change":0.001,"interval":[-0.01,0.02]},"rank1":{"change":0.0,"interval":null}}}',
    '{"schema":1,"type":"summary","command":"lab pairs","people":749,"pictures":1583,"faceless":1,'
    '"unreadable":0,"positive":1972,"negative":1972,"folds":10,"seconds":31.0}',
    '{"schema":1,"type":"summary","command":"lab evaluate","datasets":1,"models":1,"pictures":1583,'
    '"faceless":1,"unreadable":0,"seconds":61.2}',
    '{"schema":1,"type":"network","model":"ours","bytes":7646595,"ms_per_face":5.123,"similarity":null,'
    '"similarity_worst":null}',
    '{"schema":1,"type":"network","model":"int8","bytes":1964546,"ms_per_face":1.9,"similarity":0.9987,'
    '"similarity_worst":0.9965}',
    '{"schema":1,"type":"summary","command":"lab quantize","model":"int8","manifest":"to/int8.toml",'
    '"calibration":400,"compared":1000,"seconds":27.5}',
    '{"schema":1,"type":"summary","command":"lab prune","model":"pruned","manifest":"to/pruned.toml",'
    '"filters_before":656,"filters":464,"views":32000,"similarity":0.9713,"seconds":178.2,"has_thresholds":false}',
    '{"schema":1,"type":"learning","views":16000,"loss":0.4123,"similarity":0.7006,"seconds":214.2}',
    '{"schema":1,"type":"summary","command":"lab distill","model":"student","manifest":"run/student.toml",'
    '"curve":"run/curve.png","views":6000000,"similarity":0.9123,"seconds":7230.4,"has_thresholds":true}',
    '{"schema":1,"type":"calibration","model":"lite","far":0.001,"threshold":0.5123,"low":0.47,"high":0.55,'
    '"before":0.387,"before_origin":"lite at a false accept rate of 0.001","people":120,"people_pairs":420,'
    '"comparisons":12345,"measured":0.1,"left_out":{"copies":12,"overlapping":0,"doubles":1,"once":30,"same":0,'
    '"lookalikes":2},"genuine":40,"tar":0.925,"densities":{"grid":[-0.2,0.4,1.0],"impostors":[0.1,2.0,0.0],'
    '"genuine":[0.0,1.0,0.5]},"changes":[{"person":"엄마","before":12,"after":11,"gained":[],'
    '"lost":[{"path":"b.jpg"}]}]}',
    '{"schema":1,"type":"summary","command":"calibrate","model":"lite","threshold":0.5123,"far":0.001,'
    '"faces":3000,"people_pairs":420,"stored":true,"seconds":1.2}',
    '{"schema":1,"type":"epoch","epoch":1,"epochs":6,"loss":0.1504,"eer":0.1625,"rank1":0.8561,"rate":4.66e-05,'
    '"seconds":13.3,"best":true}',
    '{"schema":1,"type":"gate","people":"held-out","dataset":"mine","pictures":368,"measure":"EER",'
    '"before":0.1738,"after":0.1539,"change":[-0.031,-0.0082],"verdict":"better"}',
    '{"schema":1,"type":"summary","command":"lab finetune","model":"lite-tuned","origin":"lite",'
    '"manifest":"run/lite-tuned.toml","installed":true,"reason":"it is better","curve":"run/curve.png",'
    '"best_epoch":5,"epochs":6,"seconds":127.4}',
    '{"schema":1,"type":"cell","options":{"lr":5e-05,"freeze":"bn"},"eer_before":0.1882,"eer":0.1561,'
    '"rank1":0.8417,"best_epoch":5,"epochs":6,"seconds":127.4,"failed":""}',
    '{"schema":1,"type":"summary","command":"lab finetune --sweep","cells":6,"kept":2,"table":"run/sweep.csv",'
    '"best":"--lr 5e-05 --freeze bn","seconds":301.0}',
)


def test_each_record_has_its_line_and_notes_stay_on_stderr(piped: Piped, records: Records) -> None:
    assert piped(*records, json=True) == ("".join(line + "\n" for line in LINES).encode(), "by the way\n")


def test_no_kind_of_record_is_forgotten(records: Records) -> None:
    assert {type(record) for record in records} == set(typing.get_args(Record))
    assert {type(record) for record in records if as_fields(record) is None} == {
        ScanStarted,
        Plan,
        Progress,
        Note,
    }


def test_a_path_that_is_not_utf8_brings_its_bytes(piped: Piped, match: Match) -> None:
    name = b"caf\xe9/\xb1\xe8.jpg"
    stdout, _ = piped(replace(match, photo=Path(os.fsdecode(name))), json=True)
    line = json.loads(stdout)
    assert (line["path"], base64.b64decode(line["path_bytes"])) == ("caf\\xe9/\\xb1\\xe8.jpg", name)


def test_text_survives_though_no_control_character_is_written_raw(piped: Piped, match: Match) -> None:
    name = "엄마 \n \x1b[31m \x9b \u202e \u2028 \U000e0041 \\ 👩.jpg"
    stdout, _ = piped(replace(match, photo=Path(name), person=name), json=True)
    assert (json.loads(stdout)["path"], json.loads(stdout)["person"]) == (name, name)
    assert len(stdout.decode().splitlines()) == 1
    assert "엄마" in stdout.decode()
    assert not set(stdout.decode().rstrip("\n")) & set("\n\x1b\x9b\u202e\u2028\U000e0041")


def test_a_models_name_as_it_was_typed_may_hold_any_byte(records: Records) -> None:
    (record,) = (record for record in records if isinstance(record, ModelEvaluated))
    fields = as_fields(replace(record, model="\udcff/m.toml"))
    assert fields is not None
    assert json.loads(as_line(fields))["model"] == "\\xff/m.toml"


@given(st.text(st.characters(), max_size=30))
def test_any_text_without_lone_surrogates_comes_back_as_it_was(text: str) -> None:
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert json.loads(as_line({"name": text})) == {"schema": 1, "name": text}
