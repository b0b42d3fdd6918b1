"""What every store with leases does. Subclass :class:`LeasesContract` and give it a fixture ``make_leases``."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from leo_core.ports import Leases

NAME, OTHER = "a" * 64, "b" * 64


class LeasesContract:
    """``make_leases()`` gives a view of the same leases each time it is called in one test."""

    @pytest.fixture
    def leases(self, make_leases):
        return make_leases()

    def test_has_leases(self, leases):
        assert isinstance(leases, Leases)

    def test_one_owner_at_a_time(self, leases, make_leases):
        assert leases.acquire_lease(NAME, "one", now=100.0, life_s=10.0)
        assert not leases.acquire_lease(NAME, "two", now=105.0, life_s=10.0)
        assert not make_leases().acquire_lease(NAME, "two", now=105.0, life_s=10.0)
        assert leases.acquire_lease(OTHER, "two", now=105.0, life_s=10.0)

    def test_its_owner_may_prolong_it(self, leases):
        assert leases.acquire_lease(NAME, "one", now=100.0, life_s=10.0)
        assert leases.acquire_lease(NAME, "one", now=105.0, life_s=10.0)
        assert not leases.acquire_lease(NAME, "two", now=112.0, life_s=10.0)

    def test_it_expires(self, leases):
        assert leases.acquire_lease(NAME, "one", now=100.0, life_s=10.0)
        assert leases.acquire_lease(NAME, "two", now=110.0, life_s=10.0)
        assert not leases.acquire_lease(NAME, "one", now=111.0, life_s=10.0)

    def test_its_owner_gives_it_back_and_nobody_else(self, leases, make_leases):
        assert leases.acquire_lease(NAME, "one", now=100.0, life_s=10.0)
        leases.release_lease(NAME, "two")
        assert not leases.acquire_lease(NAME, "two", now=101.0, life_s=10.0)
        make_leases().release_lease(NAME, "one")
        assert leases.acquire_lease(NAME, "two", now=101.0, life_s=10.0)
        leases.release_lease(OTHER, "nobody")

    def test_of_many_at_once_one_gets_it(self, make_leases):
        views = [make_leases() for _ in range(4)]

        def acquire(number):
            return views[number % 4].acquire_lease(NAME, f"owner-{number}", now=100.0, life_s=10.0)

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(acquire, range(24))) == 1
