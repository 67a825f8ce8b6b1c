-- What the migration before has changed holds for the rows of before too.

alter table delivery validate constraint delivery_kind_check;
