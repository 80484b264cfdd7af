"""Operations on arrays: the host half of ``cl/ops``, module by module under the same names."""
