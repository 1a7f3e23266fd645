"""What aiokafka's consumer fetches, read so that no record can stop it.

All private parts of aiokafka that are used stand here.
"""
