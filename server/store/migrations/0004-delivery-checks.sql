-- What the migration before has added holds for the rows of before too.

alter table delivery
  validate constraint delivery_push_service_check,
  validate constraint delivery_kind_check;
