"""Energy from a machine whose counters are known."""

import os
import sys
import types

import pytest

from sorby.study import energy
from sorby.study.energy import CodeCarbon, Meter, NoMeterError, Nvml, Rapl

RANGE = 262_143_328_850  # µJ, of a Xeon


class Machine:
    """Two packages and a clock, in files as Linux has them."""

    def __init__(self, folder):
        self.root, self.stat = folder / "powercap", folder / "stat"
        self.own = 0.0
        self.counts = [RANGE - 1_000_000, 5_000_000]
        for number in range(2):
            self.zone(f"intel-rapl:{number}", f"package-{number}")
            self.zone(f"intel-rapl:{number}:0", "core", energy_uj=10**9)  # a part of its package
        self.zone("intel-rapl:2", "psys", energy_uj=10**9)
        (self.root / "intel-rapl").mkdir()
        self.after(joules=(0, 0), busy=0, own=0)

    def zone(self, zone, name, energy_uj=0):
        path = self.root / zone
        path.mkdir(parents=True)
        for file, content in (("name", name), ("max_energy_range_uj", RANGE), ("energy_uj", energy_uj)):
            (path / file).write_text(f"{content}\n")

    def after(self, *, joules, busy, own):
        """So much later; `busy` seconds of all processors went to all processes, `own` of them to this one."""
        self.own += own
        self.busy = getattr(self, "busy", 100.0) + busy
        for number in range(2):
            self.counts[number] = (self.counts[number] + round(joules[number] * 1e6)) % RANGE
            (self.root / f"intel-rapl:{number}" / "energy_uj").write_text(f"{self.counts[number]}\n")
        hertz = os.sysconf("SC_CLK_TCK")
        kinds = [0.5, 0.1, 0.2, 7, 3, 0.1, 0.1, 4]  # user, nice, system, idle, waiting, interrupts (2), stolen
        ticks = [round(self.busy * share * hertz) for share in kinds]
        self.stat.write_text(f"cpu  {' '.join(map(str, ticks))} 0 0\ncpu0 1 1 1 1 1 1 1 1\n")

    def rapl(self):
        return Rapl(self.root, self.stat, lambda: self.own)


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_a_process_bears_the_energy_of_the_packages_by_its_share_of_the_busy_time(machine):
    """A counter that overflows between two readings is followed; parts of packages and psys are not added."""
    meter = Meter(sources=[machine.rapl()])
    machine.after(joules=(30.0, 10.0), busy=8.0, own=2.0)  # the first package has 1 J to its overflow
    first = meter.kwh()
    machine.after(joules=(20.0, 0.0), busy=4.0, own=4.0)
    assert first == pytest.approx(40 * 2 / 8 / 3.6e6)
    assert meter.kwh() == pytest.approx((40 * 2 / 8 + 20) / 3.6e6)
    assert "RAPL" in meter.by


def test_the_shares_of_all_processes_add_up_to_the_whole(tmp_path):
    shares = []
    for number, own in enumerate((1.0, 2.5, 0.5)):
        machine = Machine(tmp_path / str(number))
        rapl = machine.rapl()
        machine.after(joules=(70.0, 10.0), busy=4.0, own=own)
        shares.append(rapl.joules())
    assert sum(shares) == pytest.approx(80.0)


def test_a_process_that_did_nothing_used_nothing_and_none_uses_more_than_there_was(machine):
    rapl = machine.rapl()
    machine.after(joules=(50.0, 0.0), busy=0.0, own=0.0)
    assert rapl.joules() == 0
    machine.after(joules=(50.0, 0.0), busy=1.0, own=1.02)  # the two clocks tick apart
    assert rapl.joules() == pytest.approx(50.0)


def test_a_machine_without_counters_says_why(machine, monkeypatch):
    monkeypatch.setitem(sys.modules, "codecarbon", None)
    monkeypatch.setattr(energy, "PROC_STAT", machine.stat)
    monkeypatch.setattr(energy, "POWERCAP", machine.root / "nothing")
    none = Meter()
    counter = machine.root / "intel-rapl:1" / "energy_uj"
    counter.unlink()
    counter.mkdir()  # as unreadable to root as to anybody
    monkeypatch.setattr(energy, "POWERCAP", machine.root)
    unreadable = Meter()
    assert none.kwh() is unreadable.kwh() is None
    assert none.by.startswith("not measured: the processor has no RAPL counter here, and CodeCarbon")
    assert f"{counter} cannot be read (Is a directory)" in unreadable.by


def test_a_counter_that_vanishes_ends_the_measurement_and_not_the_run(machine):
    meter = Meter(sources=[machine.rapl()])
    machine.after(joules=(30.0, 10.0), busy=8.0, own=2.0)
    machine.stat.unlink()
    assert meter.kwh() is None
    assert meter.kwh() is None
    assert "stat cannot be read" in meter.by


class NVMLError(Exception):
    pass


def fake_nvml(monkeypatch, *, processes, millijoules):
    """A GPU with as many processes on it, whose counter says these values one after the other."""
    counter = iter(millijoules)
    module = types.ModuleType("pynvml")
    module.NVMLError = NVMLError
    module.nvmlInit = lambda: None
    module.nvmlDeviceGetHandleByUUID = lambda uuid: uuid
    module.nvmlDeviceGetComputeRunningProcesses = lambda _: [object()] * processes

    def total(gpu):
        assert gpu == "GPU-12ab"
        value = next(counter)
        if value is None:
            raise NVMLError("Not Supported")
        return value

    module.nvmlDeviceGetTotalEnergyConsumption = total
    monkeypatch.setitem(sys.modules, "pynvml", module)
    monkeypatch.setattr(energy, "_uuid", lambda _: "12ab")


@pytest.mark.parametrize(("processes", "joules"), [(0, 600.0), (1, 600.0), (3, 200.0)])
def test_a_gpu_is_shared_by_the_processes_on_it(monkeypatch, processes, joules):
    fake_nvml(monkeypatch, processes=processes, millijoules=[5_000, 605_000])
    assert Nvml("cuda:1").joules() == joules


def test_a_gpu_and_the_processor_that_feeds_it_add_up(monkeypatch, machine):
    fake_nvml(monkeypatch, processes=1, millijoules=[0, 600_000, 900_000])
    rapl = machine.rapl()
    monkeypatch.setattr(energy, "_processor", lambda: rapl)
    meter = Meter("cuda:0")
    machine.after(joules=(30.0, 10.0), busy=8.0, own=2.0)
    assert meter.kwh() == pytest.approx(610 / 3.6e6)
    assert meter.by == f"{Nvml.by}; {Rapl.by}"


def test_a_gpu_alone_says_that_the_processor_is_left_out_and_one_that_tells_nothing_leaves_no_number(monkeypatch):
    def none():
        raise NoMeterError("it is shy")

    monkeypatch.setattr(energy, "_processor", none)
    fake_nvml(monkeypatch, processes=1, millijoules=[0, 3_600_000])
    meter = Meter("cuda")
    assert meter.kwh() == pytest.approx(1e-3)
    assert "without the processor, as it is shy" in meter.by
    fake_nvml(monkeypatch, processes=1, millijoules=[None])
    meter = Meter("cuda:3")
    assert meter.kwh() is None
    assert "Not Supported" in meter.by
    assert Meter("mps").kwh() is None


def test_codecarbon_is_asked_for_the_processor_alone_and_nothing_is_counted_twice(monkeypatch):
    class Tracker:
        """Says 2 kWh of processor and 50 of memory for each task."""

        def __init__(self, **settings):
            assert settings["tracking_mode"] == "process"
            assert settings["output_methods"] == []
            self.running = 0

        def start_task(self):
            self.running += 1
            assert self.running == 1

        def stop_task(self):
            self.running -= 1
            return types.SimpleNamespace(cpu_energy=2.0, ram_energy=50.0, energy_consumed=52.0)

        def get_detected_hardware(self):
            return {"cpu_model": "Abacus 3"}

    module = types.ModuleType("codecarbon")
    module.OfflineEmissionsTracker = Tracker
    monkeypatch.setitem(sys.modules, "codecarbon", module)
    meter = Meter(sources=[CodeCarbon()])
    assert (meter.kwh(), meter.kwh()) == (2.0, 4.0)
    assert meter.by == "CodeCarbon, estimated from processor time and the name Abacus 3"
